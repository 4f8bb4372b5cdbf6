# What `cmake --install` and the packages hold, all of it in the component `program`. Every path is relative to the
# prefix: the program looks for its models beside its own place.
set(MNV2_INSTALL_MODELS "" CACHE STRING "Model files to install; when empty, models/*.safetensors")

install(TARGETS mnv2-classify COMPONENT program)

set(models ${MNV2_INSTALL_MODELS})
if(NOT models)
  file(GLOB models CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/models/*.safetensors)
endif()
install(FILES ${models} DESTINATION ${CMAKE_INSTALL_DATADIR}/mnv2-classify COMPONENT program)

# mnv2_install_page(FOLDER FILES...): documents, man pages, completions; FOLDER is below share/.
function(mnv2_install_page folder)
  install(FILES ${ARGN} DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/${folder} COMPONENT program)
endfunction()
file(GLOB licences CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/LICENSE*)
mnv2_install_page(doc/mnv2-classify ${PROJECT_SOURCE_DIR}/README.md ${licences})
