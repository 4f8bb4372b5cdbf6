# The engine as a library of others: the shared one, and what `cmake --install --component development` holds, for
# find_package(mnv2) and for pkg-config. All paths in it are relative to the prefix.
include(CMakePackageConfigHelpers)

# While the major number is 0, each minor one may change the API and the ABI (semver.org, 4).
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(abi_version 0.${PROJECT_VERSION_MINOR})
  set(compatibility SameMinorVersion)
else()
  set(abi_version ${PROJECT_VERSION_MAJOR})
  set(compatibility SameMajorVersion)
endif()

set(libraries mnv2)
if(MNV2_BUILD_SHARED)
  add_library(mnv2_shared SHARED $<TARGET_OBJECTS:mnv2>)
  target_include_directories(mnv2_shared INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                                   $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>)
  target_compile_features(mnv2_shared INTERFACE cxx_std_20)
  target_link_libraries(mnv2_shared PRIVATE Threads::Threads $<BUILD_INTERFACE:mnv2_options>)
  # Not by LINKER:, which is -Wl, and would be cut at the commas of the folder's name.
  target_link_options(mnv2_shared PRIVATE "SHELL:-Xlinker \"--version-script=${CMAKE_CURRENT_SOURCE_DIR}/exports.map\"")
  set_target_properties(mnv2_shared PROPERTIES LINKER_LANGUAGE CXX VERSION ${PROJECT_VERSION} SOVERSION ${abi_version}
                                               LINK_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/exports.map)
  list(APPEND libraries mnv2_shared)
endif()

# Either is mnv2::mnv2 to those who use it; a file of targets for each, so that the package's configuration chooses.
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/mnv2)
foreach(library ${libraries})
  set_target_properties(${library} PROPERTIES OUTPUT_NAME mnv2 EXPORT_NAME mnv2)
  if(library STREQUAL mnv2)
    set(kind static)
  else()
    set(kind shared)
  endif()
  install(TARGETS ${library} EXPORT mnv2-${kind}
          ARCHIVE COMPONENT development LIBRARY COMPONENT development NAMELINK_COMPONENT development
          INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(EXPORT mnv2-${kind} FILE mnv2-${kind}-targets.cmake NAMESPACE mnv2:: DESTINATION ${package_dir}
          COMPONENT development)
endforeach()

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/mnv2 ${PROJECT_BINARY_DIR}/include/mnv2
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development FILES_MATCHING PATTERN "*.h")

configure_package_config_file(mnv2-config.cmake.in mnv2-config.cmake INSTALL_DESTINATION ${package_dir}
                              NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(mnv2-config-version.cmake COMPATIBILITY ${compatibility})
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/mnv2-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/mnv2-config-version.cmake
        DESTINATION ${package_dir} COMPONENT development)

# pkg-config: the prefix is told by the place of the file, unless the folder of libraries was given in full.
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
  set(pc_prefix ${CMAKE_INSTALL_PREFIX})
else()
  file(RELATIVE_PATH up /prefix/${pkgconfig_dir} /prefix)
  string(REGEX REPLACE "/$" "" up ${up})
  set(pc_prefix "\${pcfiledir}/${up}")
endif()
foreach(name LIBDIR INCLUDEDIR)
  if(IS_ABSOLUTE ${CMAKE_INSTALL_${name}})
    set(pc_${name} ${CMAKE_INSTALL_${name}})
  else()
    set(pc_${name} "\${prefix}/${CMAKE_INSTALL_${name}}")
  endif()
endforeach()
# What the compiler links to C++ by itself, and a C compiler does not: the standard library, whichever it is.
set(pc_private "")
foreach(library ${CMAKE_CXX_IMPLICIT_LINK_LIBRARIES})
  if(library MATCHES "^(stdc\\+\\+|c\\+\\+|c\\+\\+abi|m)$")
    string(APPEND pc_private " -l${library}")
  endif()
endforeach()
string(APPEND pc_private " ${CMAKE_THREAD_LIBS_INIT}")
string(STRIP "${pc_private}" pc_private)
configure_file(mnv2.pc.in mnv2.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/mnv2.pc DESTINATION ${pkgconfig_dir} COMPONENT development)
