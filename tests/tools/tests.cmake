# One ctest case a file, label "tools". They need opendkim-tools, softhsm2 and opensc, bind9, knot: see scripts/packages.
# Whole stacks, so that a leak of SoftHSM's is told from one of ours.
set(leaks "ASAN_OPTIONS=fast_unwind_on_malloc=0;LSAN_OPTIONS=suppressions=${CMAKE_CURRENT_SOURCE_DIR}/tools/lsan.supp:print_suppressions=0")
file(GLOB tools_tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/tools/test_*.py)
foreach(source ${tools_tests})
        get_filename_component(name ${source} NAME_WE)
        add_test(NAME tools_${name} COMMAND /usr/bin/python3 ${source} -v)
        set_tests_properties(tools_${name} PROPERTIES LABELS tools TIMEOUT 600
                ENVIRONMENT "BIN=${CMAKE_BINARY_DIR}/bin;SRCDIR=${CMAKE_SOURCE_DIR};${leaks}")
endforeach()
