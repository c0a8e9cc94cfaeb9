# OpenDKIM and hsmdkim side by side; see tests/compat/README.md. Label: compat.
find_program(SYSTEM_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH REQUIRED)

# Preloaded into the distribution's program, so without a sanitizer's runtime.
add_library(syslogshim MODULE ${CMAKE_CURRENT_LIST_DIR}/syslogshim.c)
target_compile_options(syslogshim PRIVATE -fno-sanitize=all)
target_link_options(syslogshim PRIVATE -fno-sanitize=all)
set_target_properties(syslogshim PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)

add_test(NAME compat COMMAND ${SYSTEM_PYTHON} ${CMAKE_CURRENT_LIST_DIR}/test_compat.py)
set_tests_properties(compat PROPERTIES LABELS compat TIMEOUT 1200 SKIP_RETURN_CODE 77
        ENVIRONMENT "BIN=${CMAKE_BINARY_DIR}/bin;LIB=${CMAKE_BINARY_DIR}/lib")

add_test(NAME compat_reports COMMAND ${SYSTEM_PYTHON} ${CMAKE_CURRENT_LIST_DIR}/test_reports.py)
set_tests_properties(compat_reports PROPERTIES LABELS compat TIMEOUT 300 SKIP_REGULAR_EXPRESSION "OK \\(skipped="
        ENVIRONMENT "BIN=${CMAKE_BINARY_DIR}/bin;LIB=${CMAKE_BINARY_DIR}/lib")
