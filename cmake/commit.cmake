cmake_minimum_required(VERSION 3.25)
# Writes OUTPUT, a header with the commit that SOURCE_DIR is at, if it is not so already.
execute_process(COMMAND git describe --always --dirty --abbrev=12
  WORKING_DIRECTORY ${SOURCE_DIR} OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT commit)
  set(commit unknown)
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#pragma once\n#define PG_COMMIT \"@commit@\"\n" @ONLY)
