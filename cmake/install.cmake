# What `cmake --install build/release` puts where. hsmdkim looks for the programs of its processes in its own folder, so all go to the same one.
include(GNUInstallDirs)

file(GLOB tool_mains ${CMAKE_SOURCE_DIR}/tools/main/hsmdkim-*.c)
set(tool_names)
foreach(main ${tool_mains})
        get_filename_component(name ${main} NAME_WE)
        list(APPEND tool_names ${name})
endforeach()
install(TARGETS hsmdkim hsmdkim-signer hsmdkim-metrics hsmdkim-reports ${tool_names} RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})

file(GLOB manual_pages_8 ${CMAKE_SOURCE_DIR}/man/*.8)
install(FILES ${manual_pages_8} DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
install(FILES ${CMAKE_BINARY_DIR}/man/hsmdkim.conf.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)

# bash looks for a file with the command's name.
foreach(name ${tool_names})
        install(FILES packaging/completion/hsmdkim-tools.bash
                DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME ${name})
endforeach()
install(FILES packaging/completion/_hsmdkim-tools DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)

# Units name programs by their path, which is known only now: --prefix may differ from configure's.
foreach(unit hsmdkim.service hsmdkim-rotate.service)
        install(CODE "
                file(READ \"${CMAKE_SOURCE_DIR}/packaging/systemd/${unit}\" unit)
                string(REPLACE \"/usr/sbin/\" \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_SBINDIR}/\" unit \"\${unit}\")
                file(WRITE \"${CMAKE_BINARY_DIR}/units/${unit}\" \"\${unit}\")")
        install(FILES ${CMAKE_BINARY_DIR}/units/${unit} DESTINATION lib/systemd/system)
endforeach()
install(FILES packaging/systemd/hsmdkim-rotate.timer DESTINATION lib/systemd/system)
install(FILES packaging/systemd/hsmdkim.sysusers DESTINATION lib/sysusers.d RENAME hsmdkim.conf)

file(GLOB documents ${CMAKE_SOURCE_DIR}/docs/*.md)
install(FILES README.md CHANGELOG.md ${documents} DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/hsm DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY packaging/examples DESTINATION ${CMAKE_INSTALL_DOCDIR})
