# One ctest case for each test class of tests/e2e/test_*.py. Labels: milter (all of them), token, fault, slow.
# Cases run side by side: each has its own temporary directory, sockets and ports.
find_program(SYSTEM_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH REQUIRED)

function(e2e_test file class timeout)
        set(name e2e_${file}_${class})
        add_test(NAME ${name} COMMAND ${SYSTEM_PYTHON} ${CMAKE_CURRENT_LIST_DIR}/test_${file}.py ${class})
        set_tests_properties(${name} PROPERTIES TIMEOUT ${timeout} LABELS "milter;${ARGN}"
                ENVIRONMENT "BIN=${CMAKE_BINARY_DIR}/bin" SKIP_REGULAR_EXPRESSION "OK \\(skipped=")
endfunction()

e2e_test(roundtrip RoundTrip 600 token)
e2e_test(order Order 120)
e2e_test(isolation Isolation 60 token)
e2e_test(isolation Users 60 token)
e2e_test(memory Memory 300 slow)
e2e_test(memory Linear 120)
e2e_test(postfix Delivery 180 token)
e2e_test(postfix Kill 600 token fault)
e2e_test(faults Signer 180 token fault)
e2e_test(faults Token 300 token fault)
e2e_test(faults Tables 120 fault threads)
e2e_test(program Program 120)
e2e_test(policy Policy 120 token)
e2e_test(token_faults Sign 400 token fault threads)
e2e_test(token_faults Start 600 token fault)
e2e_test(token_faults Kinds 120 token fault threads)
e2e_test(token_faults Pin 180 token fault)
e2e_test(tables Lmdb 120)
