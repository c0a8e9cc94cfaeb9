# What we link, and the two shapes of target: a folder that is a library, a program that is one file.
find_package(OpenSSL 3.0 REQUIRED COMPONENTS Crypto)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(P11 REQUIRED IMPORTED_TARGET libp11)
pkg_check_modules(P11KIT REQUIRED IMPORTED_TARGET p11-kit-1)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(IDN2 REQUIRED IMPORTED_TARGET libidn2)

# libmilter has no pkg-config file, and Debian's for libunbound asks for libevent, which we do not use.
function(find_plain target header library)
        find_path(${library}_INCLUDE_DIR ${header} REQUIRED)
        find_library(${library}_LIBRARY ${library} REQUIRED)
        add_library(${target} UNKNOWN IMPORTED GLOBAL)
        set_target_properties(${target} PROPERTIES IMPORTED_LOCATION ${${library}_LIBRARY}
                INTERFACE_INCLUDE_DIRECTORIES ${${library}_INCLUDE_DIR})
endfunction()
find_plain(Milter::Milter libmilter/mfapi.h milter)
find_plain(Unbound::Unbound unbound.h unbound)

function(hsmdkim_library name)
        file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${name}/*.c)
        if(NOT sources) # a folder that has only headers so far
                add_library(${name} INTERFACE)
                target_link_libraries(${name} INTERFACE hsmdkim_flags)
                return()
        endif()
        add_library(${name} STATIC ${sources})
        target_link_libraries(${name} PUBLIC hsmdkim_flags ${ARGN})
endfunction()

function(hsmdkim_program name source)
        if(NOT EXISTS ${CMAKE_SOURCE_DIR}/${source})
                return()
        endif()
        add_executable(${name} ${CMAKE_SOURCE_DIR}/${source})
        target_link_libraries(${name} PRIVATE ${ARGN})
endfunction()
