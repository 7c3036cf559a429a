cmake_minimum_required(VERSION 3.25)
# Writes OUTPUT, a header with the commit that SOURCE_DIR is at, if it is not so already. A repository around
# SOURCE_DIR, or one that a git hook runs in, has commits of other sources.
set(git ${CMAKE_COMMAND} -E env --unset=GIT_DIR --unset=GIT_WORK_TREE git)
execute_process(COMMAND ${git} rev-parse --show-cdup RESULT_VARIABLE failed OUTPUT_VARIABLE above
  WORKING_DIRECTORY ${SOURCE_DIR} OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT failed AND above STREQUAL "")
  execute_process(COMMAND ${git} describe --always --dirty --abbrev=12 OUTPUT_VARIABLE commit
    WORKING_DIRECTORY ${SOURCE_DIR} OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT commit)
  set(commit unknown)
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#pragma once\n#define PG_COMMIT \"@commit@\"\n" @ONLY)
