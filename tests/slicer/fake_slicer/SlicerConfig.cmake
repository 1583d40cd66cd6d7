# What find_package(Slicer) gives the extension in the tests: the variables and macros that its CMakeLists.txt files use, with
# the installed layout of Slicer on Linux. Python is copied, not compiled. Unlike Slicer, it also refuses a file that lies in
# a folder of the extension and is not listed there.
include_guard()

set(Slicer_QTSCRIPTEDMODULES_LIB_DIR lib/Slicer-5.8/qt-scripted-modules)
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR ${Slicer_QTSCRIPTEDMODULES_LIB_DIR})
set(Slicer_USE_FILE ${CMAKE_CURRENT_LIST_DIR}/CheckMetadata.cmake)
set(Slicer_EXTENSION_GENERATE_CONFIG ${CMAKE_CURRENT_LIST_DIR}/CheckMetadata.cmake)
set(Slicer_EXTENSION_CPACK CPack) # a module of CMake; reads the variables below
set(CPACK_GENERATOR TGZ)
set(CPACK_MONOLITHIC_INSTALL ON)
set(CPACK_PACKAGE_FILE_NAME ${PROJECT_NAME})

function(ctkMacroCompilePythonScript)
  cmake_parse_arguments(PARSE_ARGV 0 MY "NO_INSTALL_SUBDIR" "TARGET_NAME;DESTINATION_DIR;INSTALL_DIR" "SCRIPTS;RESOURCES")
  if(MY_UNPARSED_ARGUMENTS OR NOT MY_TARGET_NAME OR NOT MY_NO_INSTALL_SUBDIR)
    message(FATAL_ERROR "ctkMacroCompilePythonScript: not understood: ${ARGN}")
  endif()
  set(listed ${MY_SCRIPTS} ${MY_RESOURCES})
  file(GLOB_RECURSE present RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/*)
  list(FILTER present EXCLUDE REGEX "(^|/)(\\.|__pycache__/|CMakeLists\\.txt$)")
  foreach(file IN LISTS present)
    if(NOT file IN_LIST listed)
      message(SEND_ERROR "${CMAKE_CURRENT_SOURCE_DIR}/CMakeLists.txt does not list ${file}")
    endif()
  endforeach()
  set(copies)
  foreach(file IN LISTS listed)
    if(NOT file IN_LIST present)
      message(SEND_ERROR "${CMAKE_CURRENT_SOURCE_DIR}/CMakeLists.txt lists ${file}, which does not exist")
    endif()
    add_custom_command(OUTPUT ${MY_DESTINATION_DIR}/${file} DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${file}
      COMMAND ${CMAKE_COMMAND} -E copy ${CMAKE_CURRENT_SOURCE_DIR}/${file} ${MY_DESTINATION_DIR}/${file})
    list(APPEND copies ${MY_DESTINATION_DIR}/${file})
  endforeach()
  add_custom_target(${MY_TARGET_NAME} ALL DEPENDS ${copies})
  install(DIRECTORY ${MY_DESTINATION_DIR}/ DESTINATION ${MY_INSTALL_DIR})
endfunction()

function(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(PARSE_ARGV 0 MY "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES")
  if(MY_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule: not understood: ${MY_UNPARSED_ARGUMENTS}")
  endif()
  ctkMacroCompilePythonScript(TARGET_NAME ${MY_NAME} SCRIPTS ${MY_SCRIPTS} RESOURCES ${MY_RESOURCES}
    DESTINATION_DIR ${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}
    INSTALL_DIR ${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR} NO_INSTALL_SUBDIR)
endfunction()

function(slicer_add_python_unittest)
  cmake_parse_arguments(PARSE_ARGV 0 MY "" "SCRIPT" "")
  if(MY_UNPARSED_ARGUMENTS OR NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${MY_SCRIPT})
    message(SEND_ERROR "slicer_add_python_unittest: no file ${MY_SCRIPT}")
  endif()
  message(STATUS "self test: ${MY_SCRIPT}")
endfunction()
