# The .deb and the .tar.gz that cpack makes of the component `program`. scripts/package.sh does all of it.
set(CPACK_GENERATOR DEB TGZ)
set(CPACK_PACKAGE_NAME mnv2-classify)
set(CPACK_PACKAGE_VENDOR "mnv2-classify maintainers")
set(CPACK_PACKAGE_CONTACT "mnv2-classify maintainers <maintainers@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "tell what is in images, from the command line")
set(CPACK_PACKAGE_DESCRIPTION
    "Classifies JPEG, PNG and WebP images with networks of the MobileNet family, on the CPU alone,\n"
    "and prints the most likely classes as JSON. Needs neither Python nor a GPU.")
string(JOIN "" CPACK_PACKAGE_DESCRIPTION ${CPACK_PACKAGE_DESCRIPTION})
set(CPACK_INSTALL_CMAKE_PROJECTS "${PROJECT_BINARY_DIR};${PROJECT_NAME};program;/")
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(CPACK_PACKAGE_FILE_NAME
    ${CPACK_PACKAGE_NAME}-${PROJECT_VERSION}-${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION graphics)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS libwebp7)  # loaded when it is needed
include(CPack)
