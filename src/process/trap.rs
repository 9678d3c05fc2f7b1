//! Signal handlers: the thin unsafe layer between the kernel and the safe functions of `crash` and `signals`.
//!
//! ```text
//! SIGSEGV SIGBUS SIGFPE SIGILL SIGABRT > on_fatal   > crash::on_fault           > the same signal, by default action
//! SIGALRM                              > on_alarm   > crash::on_alarm           > back to work
//! SIGALRM while a report is written    > on_overdue                             > the fatal signal, by default action
//! SIGTERM SIGINT                       > on_request > signals::on_request       > back to work
//! SIGUSR1 in a child                   > on_retire  > signals::on_retire        > exit
//! ```
//!
//! Invariants:
//! - I1 A handler is an `extern "C" fn` with the three-argument signature, always installed with `SA_SIGINFO`: the
//!   kernel passes a valid `siginfo_t` and a valid `ucontext_t`.
//! - I2 What a handler that returns runs is async-signal-safe: atomics, stack memory, `open`, `write`, `close`, `send`,
//!   `unlink`, `backtrace` (its first call, which may allocate, is made at installation). It leaves `errno` alone.
//! - I3 A fatal handler does the same first; only then does it call code that may allocate, with an alarm set, so that a
//!   lock held by the very code that crashed delays the end but does not prevent it.
//! - I4 An alternate stack is leaked: it outlives its thread.
//!
//! Not here: what to say; no text is made in this file.
#![expect(
    unsafe_code,
    reason = "signal handlers, their stacks and their context have no safe interface"
)]

use super::{crash, signals};
use libc::{c_int, c_void, siginfo_t};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// The signals that mean the server is broken.
pub(super) const FATAL: [c_int; 5] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGABRT,
];

/// Room for the handler, the unwinder and the vector registers a context carries.
const STACK_BYTES: usize = 256 * 1024;
const FRAMES_MAX: usize = 100;

type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

/// What the kernel tells about a fatal signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub signal: c_int,
    pub code: c_int,
    /// Where memory was touched, for the signals that are about memory.
    pub address: Option<usize>,
    /// Pid and user of a process that sent the signal.
    pub sender: Option<(i32, u32)>,
    /// The instruction that was running, on processors this file knows.
    pub instruction: Option<usize>,
}

/// Has fatal signals reported, from now on and for all threads.
pub(super) fn arm_fatal() {
    print_stack_to(None);
    for signal in FATAL {
        install(signal, on_fatal, libc::SA_NODEFER | libc::SA_ONSTACK);
    }
}

/// Gives fatal signals their default action back.
pub(super) fn disarm_fatal() {
    FATAL.into_iter().for_each(restore_default);
}

/// Prints a stack on each SIGALRM from now on.
pub(super) fn arm_alarm() {
    print_stack_to(None);
    install(
        libc::SIGALRM,
        on_alarm,
        libc::SA_NODEFER | libc::SA_ONSTACK | libc::SA_RESTART,
    );
}

/// Requests one SIGALRM after `period_ms`; 0 takes the request back.
pub(super) fn schedule_alarm(period_ms: u32) {
    let (seconds, micros) = (i64::from(period_ms / 1000), i64::from(period_ms % 1000) * 1000);
    let once = libc::itimerval {
        it_value: libc::timeval {
            tv_sec: seconds,
            tv_usec: micros,
        },
        it_interval: libc::timeval {
            tv_sec: 0,
            tv_usec: 0,
        },
    };
    // SAFETY: the new value is a live local, and no old value is asked for.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &once, std::ptr::null_mut()) };
}

/// Has SIGTERM and SIGINT taken as requests. They interrupt nothing that would not be resumed.
pub(super) fn arm_requests() {
    install(libc::SIGTERM, on_request, libc::SA_RESTART);
    install(libc::SIGINT, on_request, libc::SA_RESTART);
}

/// Has SIGUSR1 end this process; for forked children.
pub(super) fn arm_retirement() {
    install(libc::SIGUSR1, on_retire, 0);
}

/// Has a signal do nothing, here and in what is executed from here.
pub(super) fn ignore(signal: c_int) {
    // SAFETY: `SIG_IGN` is a disposition, no code runs.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Ends the process without running anything more of it.
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(code) }
}

/// Gives the calling thread a stack of its own for handlers, so that an overflow of the usual one is reported too.
pub(super) fn provide_stack() {
    let memory = Box::leak(vec![0u8; STACK_BYTES].into_boxed_slice());
    let stack = libc::stack_t {
        ss_sp: memory.as_mut_ptr().cast(),
        ss_flags: 0,
        ss_size: STACK_BYTES,
    };
    // SAFETY: I4: the memory is leaked, and nobody else has it.
    unsafe { libc::sigaltstack(&stack, std::ptr::null_mut()) };
}

/// From here the process ends by `fault`'s signal after `seconds`, whatever the caller gets stuck in.
pub(super) fn end_after(fault: &Fault, seconds: u32) {
    OVERDUE.store(fault.signal, Relaxed);
    install(libc::SIGALRM, on_overdue, libc::SA_NODEFER | libc::SA_ONSTACK);
    schedule_alarm(seconds.saturating_mul(1000));
}

static OVERDUE: AtomicI32 = AtomicI32::new(libc::SIGABRT);

/// Writes the addresses of the calling stack, with the module each is in. Async-signal-safe after the first call.
///
/// Symbols are left to `addr2line`: finding them here would mean reading debug information in a broken process.
pub(super) fn print_stack(target: BorrowedFd<'_>) {
    print_stack_to(Some(target));
}

#[cfg(target_env = "gnu")]
fn print_stack_to(target: Option<BorrowedFd<'_>>) {
    let mut frames = [std::ptr::null_mut::<c_void>(); FRAMES_MAX];
    // SAFETY: I2: both calls are given the array's own bounds, and the descriptor is borrowed for the call.
    unsafe {
        let count = libc::backtrace(frames.as_mut_ptr(), FRAMES_MAX as c_int);
        if let Some(target) = target {
            libc::backtrace_symbols_fd(frames.as_ptr(), count, target.as_raw_fd());
        }
    }
}

#[cfg(not(target_env = "gnu"))]
fn print_stack_to(_: Option<BorrowedFd<'_>>) {}

fn install(signal: c_int, handler: Handler, flags: c_int) {
    // SAFETY: I1: an all-zero `sigaction` is valid, and the flags say which of the two signatures it holds.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = flags | libc::SA_SIGINFO;
        libc::sigemptyset(&mut action.sa_mask);
        libc::sigaction(signal, &action, std::ptr::null_mut());
    }
}

fn restore_default(signal: c_int) {
    // SAFETY: `SIG_DFL` is a disposition, no code runs.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Ends the process by `signal`, so that whoever waits for it sees the truth and a core is written where cores are.
fn end_by(signal: c_int) -> ! {
    restore_default(signal);
    // SAFETY: `raise` has no preconditions.
    unsafe { libc::raise(signal) };
    // The first process of a container is not killed by its own signals; leave with the code a shell would show.
    exit_now(128 + signal)
}

extern "C" fn on_fatal(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: I1.
    let fault = unsafe { read_fault(signal, info, context) };
    crash::on_fault(&fault);
    end_by(signal)
}

extern "C" fn on_overdue(_: c_int, _: *mut siginfo_t, _: *mut c_void) {
    end_by(OVERDUE.load(Relaxed))
}

extern "C" fn on_alarm(_: c_int, info: *mut siginfo_t, _: *mut c_void) {
    // SAFETY: I1. A timer leaves the pid zero.
    let by_timer = unsafe { (*info).si_pid() == 0 };
    keeping_errno(|| crash::on_alarm(by_timer));
}

extern "C" fn on_request(signal: c_int, _: *mut siginfo_t, _: *mut c_void) {
    keeping_errno(|| signals::on_request(signal));
}

extern "C" fn on_retire(_: c_int, _: *mut siginfo_t, _: *mut c_void) {
    signals::on_retire()
}

/// The code a handler interrupted may be about to read `errno`.
fn keeping_errno(act: impl FnOnce()) {
    // SAFETY: the location is the calling thread's own, and lives as long as the thread.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let kept = unsafe { *place };
    act();
    // SAFETY: as above.
    unsafe { *place = kept };
}

/// # Safety
/// `info` and `context` are what the kernel passed to a handler of `signal` (I1).
unsafe fn read_fault(signal: c_int, info: *mut siginfo_t, context: *mut c_void) -> Fault {
    // SAFETY: I1, passed on by the caller.
    let (info, instruction) = unsafe { (&*info, instruction(context)) };
    let about_memory = signal == libc::SIGSEGV || signal == libc::SIGBUS;
    // Codes up to 0 are signals sent by processes: `kill`, `tgkill`, `sigqueue`.
    let sent = info.si_code <= 0;
    // SAFETY: these fields of the union are the ones filled in for such signals; all of them are plain numbers.
    let (address, sender) = unsafe { (info.si_addr() as usize, (info.si_pid(), info.si_uid())) };
    Fault {
        signal,
        code: info.si_code,
        address: about_memory.then_some(address),
        sender: sent.then_some(sender),
        instruction,
    }
}

/// # Safety
/// `context` is what the kernel passed to a handler (I1).
#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
unsafe fn instruction(context: *mut c_void) -> Option<usize> {
    // SAFETY: I1, passed on by the caller.
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    Some(context.uc_mcontext.gregs[libc::REG_RIP as usize] as usize)
}

/// # Safety
/// `context` is what the kernel passed to a handler (I1).
#[cfg(all(target_arch = "aarch64", target_env = "gnu"))]
unsafe fn instruction(context: *mut c_void) -> Option<usize> {
    // SAFETY: I1, passed on by the caller.
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    Some(context.uc_mcontext.pc as usize)
}

/// # Safety
/// None needed: nothing is read.
#[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_env = "gnu")))]
unsafe fn instruction(_: *mut c_void) -> Option<usize> {
    None
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Sends a signal to the calling thread.
    pub fn raise(signal: c_int) {
        // SAFETY: `raise` has no preconditions.
        unsafe { libc::raise(signal) };
    }

    /// Touches memory that is not there.
    pub fn touch_nothing() {
        // SAFETY: none: the fault is the point, in a process made to die of it.
        unsafe { std::ptr::with_exposed_provenance_mut::<u8>(8).write_volatile(1) };
    }

    #[test]
    fn a_stack_prints_its_modules() {
        use std::io::{Read, Seek};
        use std::os::fd::AsFd;
        let mut file = tempfile::tempfile().unwrap();
        print_stack(file.as_fd());
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert!(text.lines().count() > 2 && text.contains("[0x"), "{text}");
    }
}
