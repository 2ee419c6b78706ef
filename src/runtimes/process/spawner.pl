# perl spawner.pl [HOME COMMAND ARG ...]
#
# Starts the servers of nodes for as long as its standard input stays open. A process of its own, because a fork of the
# whole control plane costs it some 4 ms each time; in perl, because flock, setsid and exec need a program that has
# them, and Debian and macOS always bring this one.
#
# Reads requests: a length of 4 bytes (big-endian), then words separated by NUL: key, directory, generation, how many
# words the command has, the command, and NAME=VALUE for each variable of its environment.
# Writes lines: "failed KEY" (no process could be made), "pid KEY PID", "begun PID" (it has become the server, or ended
# before that), "ended PID CODE" (CODE is "-" after a signal).
#
# A started process takes the node's lock, says who it is, and becomes the server. The lock is on descriptor 9, which
# the server inherits and never closes: while it or a child of it lives, no second one gets past that point, even when
# the control plane was killed between two of its steps and asks for the same generation again.
#
# With a HOME it stays when its input ends, as the guard of that home: it looks whether nodes that others stand ready for
# still run, and runs the COMMAND when one does not. HOME/guard has its number, and SIGTERM ends it.
use strict;
use warnings;
use Fcntl qw(:flock);
use POSIX ();

my $lock_taken = 75;
my $overtaken = 76;
my $lock_descriptor = 9;
my %begun;    # read end of the pipe that closes with exec, by pid

# Taken, so that no pipe of ours gets the number.
open my $nothing, '<', '/dev/null' or die "/dev/null: $!";
POSIX::dup2(fileno $nothing, $lock_descriptor) // die "no descriptor: $!";
pipe(my $wake_read, my $wake_write) or die "no pipe: $!";
$_->blocking(0) for $wake_read, $wake_write;
$SIG{CHLD} = sub { syswrite $wake_write, 'x' };
$| = 1;

my ($home, @recover) = @ARGV;
my $buffer = '';
my $open = 1;
while ($open) {
  my $wanted = '';
  vec($wanted, fileno $_, 1) = 1 for *STDIN, $wake_read, values %begun;
  next if select($wanted, undef, undef, undef) < 0;
  if (vec($wanted, fileno $wake_read, 1)) { 1 while sysread $wake_read, my $gone, 512 }
  for my $pid (keys %begun) { begun($pid) if vec($wanted, fileno $begun{$pid}, 1) }
  reap();
  next unless vec($wanted, fileno STDIN, 1);
  $open = sysread STDIN, $buffer, 65536, length $buffer;
  while (length $buffer >= 4 && length $buffer >= 4 + unpack 'N', $buffer) {
    start(split /\0/, substr(substr($buffer, 0, 4 + unpack('N', $buffer), ''), 4), -1);
  }
}

guard() if defined $home;

sub begun {
  my ($pid) = @_;
  delete $begun{$pid} and print "begun $pid\n";
}

sub reap {
  while ((my $pid = waitpid -1, POSIX::WNOHANG) > 0) {
    begun($pid);
    print "ended $pid ", ($? & 127 ? '-' : $? >> 8), "\n";
  }
}

sub start {
  my ($key, $directory, $generation, $count, @rest) = @_;
  my @command = splice @rest, 0, $count;
  pipe(my $read, my $write) or return print "failed $key\n";
  my $pid = fork;
  return print "failed $key\n" unless defined $pid;
  if ($pid) {
    $begun{$pid} = $read;
    print "pid $key $pid\n";
    return;
  }
  # Never back into the loop, whatever goes wrong.
  eval { become($directory, $generation, \@command, \@rest) };
  print STDERR $@;
  POSIX::_exit(74);
}

sub become {
  my ($directory, $generation, $command, $environment) = @_;
  $SIG{CHLD} = 'DEFAULT';
  POSIX::setsid();
  umask 077;
  chdir $directory or die "$directory: $!\n";
  open STDIN, '<', '/dev/null' or die "/dev/null: $!\n";
  open STDOUT, '>>', 'log' or die "log: $!\n";
  open STDERR, '>&', \*STDOUT or die "log: $!\n";
  open my $lock, '>>', 'lock' or die "lock: $!\n";
  flock $lock, LOCK_EX | LOCK_NB or POSIX::_exit($lock_taken);
  # A copy shares the lock, and lives through exec.
  POSIX::dup2(fileno $lock, $lock_descriptor) // die "lock: $!\n";
  # One that was overtaken (by a later restart, a stop, a removal) must not bring back an older generation.
  open my $wanted, '<', 'generation' or POSIX::_exit($overtaken);
  (my $line = <$wanted> // '') =~ s/\s+$//;
  $line eq $generation or POSIX::_exit($overtaken);
  open my $file, '>', 'pid' or die "pid: $!\n";
  print $file "$$ $generation ", identity(), "\n";
  close $file or die "pid: $!\n";
  %ENV = map { split /=/, $_, 2 } @$environment;
  exec { $command->[0] } @$command or die "$command->[0] cannot be run: $!\n";
}

# Nobody is in charge while this runs: whoever is ends it first.
sub guard {
  my $running;
  $SIG{CHLD} = 'DEFAULT';
  $SIG{PIPE} = 'IGNORE';
  $SIG{TERM} = sub { kill 'TERM', $running if $running; unlink "$home/guard"; POSIX::_exit(0) };
  # Several control planes may share a home, and each leaves a helper.
  return if other_guard();
  return unless open my $file, '>', "$home/guard";
  print $file "$$\n";
  close $file;
  open STDIN, '<', '/dev/null';
  open STDOUT, '>', '/dev/null';
  open STDERR, '>>', "$home/guard.log";
  my $pause = 0.5;
  # Those that were stopped on purpose are nobody's business.
  while (my @wanted = grep { is_wanted($_) } map { s{/guarded$}{}r } glob quotemeta($home) . "/nodes/*/guarded") {
    select undef, undef, undef, $pause;
    1 while waitpid(-1, POSIX::WNOHANG) > 0;
    my $dead = grep { is_wanted($_) && !lives($_) } @wanted;
    $pause = 0.5, next unless $dead;
    if ($running = fork) {
      waitpid $running, 0;
      $running = 0;
    } elsif (defined $running) {
      POSIX::setsid();
      open STDOUT, '>&', \*STDERR;
      exec { $recover[0] } @recover or POSIX::_exit(127);
    }
    # What it could not bring back now is tried ever less often.
    $pause = $pause * 2 > 60 ? 60 : $pause * 2;
  }
  unlink "$home/guard";
}

sub other_guard {
  open my $file, '<', "$home/guard" or return 0;
  my ($pid) = (<$file> // '') =~ /^(\d+)/ or return 0;
  open my $command, '<', "/proc/$pid/cmdline" or return 0;
  return $pid != $$ && (<$command> // '') =~ /spawner\.pl/;
}

sub is_wanted {
  my ($directory) = @_;
  open my $wanted, '<', "$directory/generation" or return 0;
  return (<$wanted> // '') =~ /^\d/;
}

sub lives {
  my ($directory) = @_;
  open my $file, '<', "$directory/pid" or return 1;
  my ($pid, undef, undef, $started) = split ' ', <$file> // '', 4;
  return 1 unless $started;
  chomp $started;
  return kill 0, $pid unless -r '/proc/self/stat';
  open my $stat, '<', "/proc/$pid/stat" or return 0;
  my ($fields) = (<$stat> // '') =~ /.*\) (.*)/ or return 0;
  my @fields = split / /, $fields;
  return $fields[0] !~ /[ZX]/ && $fields[19] eq $started;
}

# Boot and start time: what tells this process from a later one with the same number.
sub identity {
  if (open my $stat, '<', "/proc/$$/stat") {
    open my $boot, '<', '/proc/sys/kernel/random/boot_id' or die "boot_id: $!\n";
    chomp(my $id = <$boot>);
    # Field 22; the name in parentheses may hold spaces, so count from behind it.
    my ($fields) = <$stat> =~ /.*\) (.*)/;
    return "$id " . (split / /, $fields)[19];
  }
  my ($boot) = `sysctl -n kern.boottime` =~ /(\d+)/;
  chomp(my $started = `ps -o lstart= -p $$`);
  return "$boot $started";
}
