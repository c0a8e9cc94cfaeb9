# Warnings for every target; hardening for every program (a shared object has flags of its own). Sanitizers come from the presets through CMAKE_C_FLAGS.
add_library(hsmdkim_warnings INTERFACE)
target_compile_definitions(hsmdkim_warnings INTERFACE
        _POSIX_C_SOURCE=200809L HSMDKIM_VERSION="${PROJECT_VERSION}"
        OPENSSL_API_COMPAT=30000 OPENSSL_NO_DEPRECATED)
target_include_directories(hsmdkim_warnings INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(hsmdkim_warnings INTERFACE
        -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
        -Wswitch-enum -Wformat=2 -Wundef -Wvla -fstack-protector-strong)
if(HSMDKIM_WERROR)
        target_compile_options(hsmdkim_warnings INTERFACE -Werror)
endif()
if(HSMDKIM_TEST_HOOKS)
        target_compile_definitions(hsmdkim_warnings INTERFACE HSMDKIM_TEST_HOOKS=1)
endif()

add_library(hsmdkim_flags INTERFACE)
target_link_libraries(hsmdkim_flags INTERFACE hsmdkim_warnings)
# The milter process must not map libp11, though its library (daemon) links to one that does (signer): with clang, too.
target_link_options(hsmdkim_flags INTERFACE -Wl,--as-needed)
if(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
        target_compile_options(hsmdkim_flags INTERFACE -fPIE -fcf-protection -fstack-clash-protection
                -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
        target_link_options(hsmdkim_flags INTERFACE -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
endif()
