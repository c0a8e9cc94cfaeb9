# One ctest case a file, label "tools". They need opendkim-tools, softhsm2 and opensc, bind9, knot: see scripts/packages.

# Preloaded into a program that may have a sanitizer's runtime already, so it has none.
add_library(killshim MODULE ${CMAKE_CURRENT_LIST_DIR}/killshim.c)
target_compile_options(killshim PRIVATE -fno-sanitize=all)
target_link_options(killshim PRIVATE -fno-sanitize=all)
target_link_libraries(killshim PRIVATE ${CMAKE_DL_LIBS})
set_target_properties(killshim PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)

file(GLOB tools_tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/tools/test_*.py)
foreach(source ${tools_tests})
        get_filename_component(name ${source} NAME_WE)
        add_test(NAME tools_${name} COMMAND /usr/bin/python3 ${source} -v)
        set_tests_properties(tools_${name} PROPERTIES LABELS tools TIMEOUT 600
                ENVIRONMENT "BIN=${CMAKE_BINARY_DIR}/bin;LIB=${CMAKE_BINARY_DIR}/lib;SRCDIR=${CMAKE_SOURCE_DIR};${SANITIZERS}")
endforeach()
