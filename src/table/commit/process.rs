//! This machine and its processes, as records name them.

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// This machine's name; empty where the system gives none.
pub(super) fn host() -> String {
    System::host_name().unwrap_or_default()
}

/// Whether a record's host is this machine. An empty name counts as another machine.
pub(super) fn is_here(host: &str) -> bool {
    !host.is_empty() && host == self::host()
}

/// Whether this machine has a process of this number. It asks the system, which may block.
pub(super) fn is_alive(pid: u32) -> bool {
    let pid = Pid::from_u32(pid);
    // Where the system cannot be asked, caution says yes.
    let Ok(mut system) = System::new() else { return true };
    let how = ProcessRefreshKind::nothing();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, how);
    system.process(pid).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_machine_is_another_one() {
        assert!(!is_here(""));
        assert!(!is_here("another machine"));
        assert!(host().is_empty() || is_here(&host()));
    }

    #[test]
    fn a_process_is_alive_until_it_has_ended() {
        assert!(is_alive(std::process::id()));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(is_alive(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!is_alive(child.id()));
    }
}
