# mparc_add_model(target model.mp [CUDA] [OPTIONS flag…] [DEPENDS file…] [INCLUDE_DIRECTORIES folder…])
#
# Compiles a model to C++ when it or one of DEPENDS (files that it imports) changes, and gives it to `target`: a program
# or library of the project's, or, where there is none of that name, a new static library. Sources of the target, and of
# what links the new library, include the model's class as `model.h`, after the file's name. OPTIONS go to mparc:
# `--set width=64`, `--optimizer …`. INCLUDE_DIRECTORIES: where headers are that the model names with `extern`, beside its
# own folder; give the headers themselves in DEPENDS. CUDA: by nvcc, for GPUs, in a project that has the language. Instead
# of the model its emitted source may be given, model.cpp or model.cu: then neither mparc nor LLVM is needed.
function(mparc_add_model target model)
  cmake_parse_arguments(MODEL "CUDA" "" "OPTIONS;DEPENDS;INCLUDE_DIRECTORIES" ${ARGN})
  if(MODEL_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "mparc_add_model: unknown arguments: ${MODEL_UNPARSED_ARGUMENTS}")
  endif()
  get_filename_component(model ${model} ABSOLUTE)
  get_filename_component(name ${model} NAME_WLE)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/mparc/${target})
  get_filename_component(beside ${model} DIRECTORY)
  set(includes)
  # What of the model's folder is included in quotes: it may hold a file called `memory`.
  set(flags "-iquote${beside}")
  foreach(include IN LISTS MODEL_INCLUDE_DIRECTORIES)
    get_filename_component(include ${include} ABSOLUTE)
    list(APPEND includes -I ${include})
    list(APPEND flags "-I${include}")
  endforeach()
  get_filename_component(extension ${model} LAST_EXT)
  if(extension STREQUAL ".cu")
    set(MODEL_CUDA TRUE)
  endif()
  if(MODEL_CUDA AND (NOT CMAKE_CUDA_COMPILER OR NOT TARGET mpar::mpar_cuda))
    message(FATAL_ERROR "mparc_add_model(${target} … CUDA) needs the language CUDA, as in project(… LANGUAGES CXX CUDA), and an mparc built with the toolkit")
  endif()
  if(extension STREQUAL ".mp")
    set(source ${folder}/${name}.cpp)
    if(MODEL_CUDA)
      set(source ${folder}/${name}.cu)
    endif()
    set(header ${folder}/${name}.h)
    file(MAKE_DIRECTORY ${folder})
    add_custom_command(
      OUTPUT ${source} ${header}
      COMMAND mpar::mparc ${model} -o ${source} --header ${header} --no-main ${includes} ${MODEL_OPTIONS}
      DEPENDS ${model} ${MODEL_DEPENDS} mpar::mparc
      COMMENT "Compiling the model ${name}"
      VERBATIM)
  else()
    set(source ${model})
    set(header)
    set(folder ${beside})
  endif()
  # Contraction would change what is rounded; the loops are meant to be vectorised.
  set(host "-ffp-contract=off;-fno-math-errno;-fno-trapping-math;${flags}")
  if(MODEL_CUDA)
    list(TRANSFORM host PREPEND "-Xcompiler=")
    set(host "--fmad=false;${host}")
  endif()
  set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "-O3;${host}")
  if(NOT TARGET ${target})
    add_library(${target} STATIC)
  endif()
  target_sources(${target} PRIVATE ${source} ${header})
  target_include_directories(${target} PUBLIC ${folder})
  target_compile_features(${target} PUBLIC cxx_std_17)
  target_link_libraries(${target} PUBLIC $<$<BOOL:${MODEL_CUDA}>:mpar::mpar_cuda> mpar::mpar)
endfunction()
