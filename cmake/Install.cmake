# What `cmake --install` puts under a prefix: the compiler, its standard library, the runtime, and a CMake package for
# projects that build models.
include(CMakePackageConfigHelpers)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/mparc)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/runtime/include/mpar DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS mpar EXPORT mparcTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET mpar_cuda)
  install(TARGETS mpar_cuda EXPORT mparcTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
if(MPARC_COMPILER)
  # LLVM's shared libraries lie outside of the loader's path.
  set_target_properties(mparc PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
  install(TARGETS mparc EXPORT mparcTargets RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/stdlib DESTINATION share/mparc FILES_MATCHING PATTERN "*.mp")
endif()
install(EXPORT mparcTargets NAMESPACE mpar:: DESTINATION ${package})

set(MPARC_HAS_CUDA FALSE)
if(TARGET mpar_cuda)
  set(MPARC_HAS_CUDA TRUE)
endif()
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/mparcConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/cmake/mparcConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cmake/mparcConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/cmake/mparcConfig.cmake ${PROJECT_BINARY_DIR}/cmake/mparcConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/cmake/mparcAddModel.cmake DESTINATION ${package})
