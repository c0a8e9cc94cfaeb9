# bash completion for the tools of hsmdkim; `cmake --install` puts it under each command's name.

_hsmdkim_tool()
{
	local cur prev words cword split=false
	_init_completion -s || return
	local options=$1 commands=$2
	case $prev in
	--type) COMPREPLY=($(compgen -W 'rsa ed25519' -- "$cur")); return ;;
	--format) COMPREPLY=($(compgen -W 'bind plain json nsupdate tinydns powerdns route53' -- "$cur")); return ;;
	--publish) COMPREPLY=($(compgen -W 'print nsupdate' -- "$cur")); _filedir; return ;;
	--token) COMPREPLY=($(compgen -W 'pkcs11:token=' -- "$cur")); compopt -o nospace; return ;;
	--pin-source) COMPREPLY=($(compgen -W 'file: credential: prompt' -- "$cur")); compopt -o nospace; return ;;
	--directory | -D) _filedir -d; return ;;
	-x | --config | -S | --socket | --module | --domains | --import | --key | -k | --output | -o | --state | --tsig | --reload) _filedir; return ;;
	esac
	$split && return
	if [[ $cur == -* || -z $commands ]]; then
		COMPREPLY=($(compgen -W "$options" -- "$cur"))
		[[ ${COMPREPLY-} == *= ]] && compopt -o nospace
	else
		COMPREPLY=($(compgen -W "$commands" -- "$cur"))
	fi
}

_hsmdkim_genkey()
{
	_hsmdkim_tool '--append-domain -a --bits= -b --domain= -d --directory= -D --hash-algorithms= -h --note= -n --restrict -r --selector= -s -S --subdomains --testmode -t --verbose -v -V --type= --ed25519 --format= --zone= --ttl= --domains= --token= --config= -x --module= --pin-source= --import= --help --version' ''
}
complete -F _hsmdkim_genkey hsmdkim-genkey

_hsmdkim_testkey()
{
	_hsmdkim_tool '--domain= -d --selector= -s --key= -k -K --config= -x --verbose -v --json --strict --authoritative --nameserver= --port= --timeout= --module= --pin-source= --help --version' ''
}
complete -F _hsmdkim_testkey hsmdkim-testkey

_hsmdkim_genzone()
{
	_hsmdkim_tool '--contact= -C --domain= -d --domainkey -D --expire= -E --full -F --mail-only -M --nameservers= -N --output= -o --refresh= -r --retry= -R --subdomains -s --soa -S --ttl= -t --default-ttl= -T --nsupdate -u --verbose -v --config= -x --module= --pin-source= --help --version' ''
}
complete -F _hsmdkim_genzone hsmdkim-genzone

_hsmdkim_mktable()
{
	_hsmdkim_tool '--type= -t --verbose -v --help --version' ''
}
complete -F _hsmdkim_mktable hsmdkim-mktable

_hsmdkim_testmsg()
{
	_hsmdkim_tool '-C --domain= -d -K --key= -k --selector= -s -t --config= -x --sign --explain --nameserver= --timeout= --module= --pin-source= --help --version' ''
}
complete -F _hsmdkim_testmsg hsmdkim-testmsg

_hsmdkim_rotate()
{
	_hsmdkim_tool '--config= -x --key= -k --state= --publish= --tsig= --server= --reload= --keep= --grace= --every= --ttl= --steps= --nameserver= --port= --timeout= --module= --pin-source= --help --version' 'status plan run rollback'
}
complete -F _hsmdkim_rotate hsmdkim-rotate

_hsmdkim_ctl()
{
	_hsmdkim_tool '--json -j --socket= -S --timeout= -t --config= -x --help --version' 'status tokens keys reload relogin metrics'
}
complete -F _hsmdkim_ctl hsmdkim-ctl
