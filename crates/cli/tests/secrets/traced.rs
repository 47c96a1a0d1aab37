//! A process that is held at its very end, when all that it had is dropped and nothing is unmapped yet.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::process::{Child, Command};

use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

/// More than a command needs.
const REGION_BYTES_MAX: u64 = 1 << 28;

/// What a process held in memory.
pub struct Memory {
    /// Each region that was written to, under its name and address.
    pub regions: Vec<(String, Vec<u8>)>,
}

impl Memory {
    /// Where `pattern` is: region and offset.
    pub fn find(&self, pattern: &[u8]) -> Vec<String> {
        let finder = |(name, bytes): &(String, Vec<u8>)| {
            memchr::memmem::find_iter(bytes, pattern).map(|at| format!("{name}+{at:#x}")).collect::<Vec<_>>()
        };
        self.regions.iter().flat_map(finder).collect()
    }
}

/// Runs `command`, which waits for something that `feed` gives it, to its end, and reads its memory there.
pub fn memory_at_exit(command: &mut Command, feed: impl FnOnce(&mut Child)) -> (Memory, i32) {
    let mut child = command.spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    ptrace::seize(pid, Options::PTRACE_O_TRACEEXIT).unwrap();
    feed(&mut child);
    let mut memory = None;
    loop {
        match waitpid(pid, None).unwrap() {
            WaitStatus::PtraceEvent(..) if memory.is_none() => {
                memory = Some(read_memory(pid));
                ptrace::cont(pid, None).unwrap();
            }
            WaitStatus::Stopped(_, signal) => {
                let signal = (signal != Signal::SIGTRAP).then_some(signal);
                ptrace::cont(pid, signal).unwrap();
            }
            WaitStatus::Exited(_, code) => return (memory.expect("it was held at its end"), code),
            WaitStatus::Signaled(_, signal, _) => panic!("ended by {signal}"),
            _ => ptrace::cont(pid, None).unwrap(),
        }
    }
}

fn read_memory(pid: Pid) -> Memory {
    let mut maps = String::new();
    File::open(format!("/proc/{pid}/maps")).unwrap().read_to_string(&mut maps).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let regions = maps.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next()?, words.next()?);
        let name = words.nth(3).unwrap_or("anonymous");
        let (start, end) = range.split_once('-')?;
        let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        // What cannot be written holds what stands in a file, and the kernel's own pages cannot be read.
        let written = rights.starts_with("rw") && !name.starts_with("[v");
        assert!(!written || end - start <= REGION_BYTES_MAX, "{line}");
        written.then(|| {
            let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
            memory.read_exact_at(&mut bytes, start).unwrap_or_else(|error| panic!("{line}: {error}"));
            (format!("{name}@{start:x}"), bytes)
        })
    });
    Memory { regions: regions.collect() }
}
