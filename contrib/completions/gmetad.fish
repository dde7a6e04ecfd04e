# fish completion of gmetad(8).

complete -c gmetad -f
complete -c gmetad -s c -l conf -r -F -d 'read this configuration file'
complete -c gmetad -s f -l foreground -d 'do not detach, and log to the terminal as well'
complete -c gmetad -s d -l debug -x -a '0\tfatal 1\tcritical 2\terror 3\twarning 4\tinfo 5\tdebug' -d 'log everything up to this level'
complete -c gmetad -s l -l logfile -r -F -d 'log to this file as well as to syslog'
complete -c gmetad -s p -l pid_file -r -F -d 'write the process ID to this file'
complete -c gmetad -l pid-file -r -F -d 'write the process ID to this file'
complete -c gmetad -s x -l xml_port -x -d 'serve the whole XML document on this port'
complete -c gmetad -s i -l interactive_port -x -d 'answer queries by path, and HTTP, on this port'
complete -c gmetad -s t -l test-config -d 'check the configuration, print the values in force'
complete -c gmetad -l print-config -d 'print the values in force as a configuration file'
complete -c gmetad -l once -d 'poll every source once, print a line for each'
complete -c gmetad -l heal-rrds -d 'cut what is ahead of now from RRD files'
complete -c gmetad -n '__fish_contains_opt heal-rrds' -F
complete -c gmetad -l test-plugin -r -F -d 'show this plugin one document, print what it does'
complete -c gmetad -l input -r -F -d 'the saved document for --test-plugin'
complete -c gmetad -s V -l version -d 'print the version and the parts built in'
complete -c gmetad -s h -l help -d 'print the options'
