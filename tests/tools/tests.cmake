# One ctest case a file, label "tools". They need opendkim-tools, softhsm2 and opensc, bind9, knot: see scripts/packages.
file(GLOB tools_tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/tools/test_*.py)
foreach(source ${tools_tests})
        get_filename_component(name ${source} NAME_WE)
        add_test(NAME tools_${name} COMMAND /usr/bin/python3 ${source} -v)
        set_tests_properties(tools_${name} PROPERTIES LABELS tools TIMEOUT 600
                ENVIRONMENT "BIN=${CMAKE_BINARY_DIR}/bin;SRCDIR=${CMAKE_SOURCE_DIR};${LEAKS}")
endforeach()
