#!/usr/bin/perl
# Mail::DKIM as a verifier for tests: reads "LENGTH\n" + message on standard input again and again, answers each
# with one line of JSON: [{d, s, a, result, detail}, ...], the topmost signature first.
# DNS comes from a file: "name<TAB>text" a line.
#
# Debian 12's Mail::DKIM knows no Ed25519. The class below adds the last step (RFC 8463: Ed25519 over the SHA-256 of
# the header) with CryptX; parsing, canonicalization and hashing stay Mail::DKIM's.
use strict;
use warnings;
use JSON::PP;
use MIME::Base64;
use Mail::DKIM::Verifier;
use Net::DNS;

package Mail::DKIM::Algorithm::ed25519_sha256;
use Crypt::PK::Ed25519;
our @ISA = ('Mail::DKIM::Algorithm::rsa_sha256');

sub verify {
    my $self = shift;
    my $key  = Crypt::PK::Ed25519->new->import_key_raw(
        MIME::Base64::decode_base64( $self->signature->get_public_key->data ), 'public' );
    my $signature = MIME::Base64::decode_base64( $self->signature->data );
    return unless $key->verify_message( $signature, $self->{header_digest}->digest );
    return $self->check_body_hash;
}

package Ed25519Size;    # Mail::DKIM asks its key object for a size in bytes
sub size { return 32 }

package main;

sub is_ed25519 { return ( $_[0]->get_tag('k') // 'rsa' ) eq 'ed25519' }

{
    no warnings 'redefine';
    my $class_of = \&Mail::DKIM::Signature::get_algorithm_class;
    *Mail::DKIM::Signature::get_algorithm_class = sub {
        return $_[1] eq 'ed25519-sha256' ? 'Mail::DKIM::Algorithm::ed25519_sha256' : $class_of->(@_);
    };
    my $check = \&Mail::DKIM::PublicKey::check;
    *Mail::DKIM::PublicKey::check = sub { return is_ed25519( $_[0] ) ? 1 : $check->(@_) };
    no warnings "once";
    my $cork = Mail::DKIM::PublicKey->can('cork');
    *Mail::DKIM::PublicKey::cork = sub { return is_ed25519( $_[0] ) ? bless( {}, 'Ed25519Size' ) : $cork->(@_) };
}

package FileResolver;

sub new {
    my ( $class, $path ) = @_;
    open( my $file, '<', $path ) or die "$path: $!\n";
    my %text = map { chomp; split( /\t/, $_, 2 ) } <$file>;
    return bless { text => \%text }, $class;
}

sub send {
    my ( $self, $name, $type ) = @_;
    my $packet = Net::DNS::Packet->new( $name, $type );
    my $text   = $self->{text}{ lc $name };
    if ( !defined $text ) { $packet->header->rcode('NXDOMAIN'); return $packet }
    my @strings = unpack( '(a250)*', $text );
    $packet->push( answer => Net::DNS::RR->new( name => $name, type => 'TXT', ttl => 60, txtdata => \@strings ) );
    return $packet;
}

sub errorstring { return 'NOERROR' }

package main;

Mail::DKIM::DNS::resolver( FileResolver->new( $ARGV[0] ) );
binmode STDIN;
$| = 1;
while ( defined( my $length = <STDIN> ) ) {
    read( STDIN, my $message, $length ) == $length or die "short message\n";
    my $dkim = Mail::DKIM::Verifier->new;
    my $done = eval { $dkim->PRINT($message); $dkim->CLOSE; 1 };
    my @results = map {
        {
            d => $_->domain, s => $_->selector, a => $_->algorithm, result => $_->result,
            detail => $_->result_detail
        }
    } $done ? $dkim->signatures : ();
    @results = ( { d => '', s => '', a => '', result => 'error', detail => "$@" } ) if !$done;
    print JSON::PP->new->canonical->latin1->encode( \@results ), "\n";
}
