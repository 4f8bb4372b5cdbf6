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
# The .deb depends on the libjpeg that it is linked with: libjpeg.so.62 on Debian, libjpeg.so.8 on Ubuntu. No package of one
# stands for the other.
if(EXISTS /etc/os-release)
  file(STRINGS /etc/os-release system REGEX "^PRETTY_NAME=")
  string(REGEX REPLACE "^PRETTY_NAME=|\"" "" system "${system}")
  string(APPEND CPACK_PACKAGE_DESCRIPTION "\nThis package is built for ${system}.")
endif()
set(CPACK_INSTALL_CMAKE_PROJECTS "${PROJECT_BINARY_DIR};${PROJECT_NAME};program;/")
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

# What Debian asks of every package: whose work is in it, and what has changed.
set(documents ${CMAKE_INSTALL_DATAROOTDIR}/doc/mnv2-classify)
install(FILES ${CMAKE_CURRENT_LIST_DIR}/copyright DESTINATION ${documents} COMPONENT program)
find_program(GZIP_PROGRAM gzip REQUIRED)
configure_file(${CMAKE_CURRENT_LIST_DIR}/changelog ${PROJECT_BINARY_DIR}/share/doc/changelog COPYONLY)
execute_process(COMMAND ${GZIP_PROGRAM} -9nkf ${PROJECT_BINARY_DIR}/share/doc/changelog COMMAND_ERROR_IS_FATAL ANY)
install(FILES ${PROJECT_BINARY_DIR}/share/doc/changelog.gz DESTINATION ${documents} COMPONENT program)

set(CPACK_PACKAGE_FILE_NAME
    ${CPACK_PACKAGE_NAME}-${PROJECT_VERSION}-${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION graphics)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "libwebp7, libarchive13")  # loaded when they are needed
include(CPack)
