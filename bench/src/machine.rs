//! The machine that figures belong to.

/// Processor, cores, kernel and compiler, in one paragraph.
pub fn description() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find_map(|l| l.strip_prefix("model name")?.split_once(':').map(|(_, m)| m.trim().to_owned()));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let load = read("/proc/loadavg");
    format!(
        "Machine: {}, {cores} cores, Linux {}; load when started {}.",
        model.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        read("/proc/sys/kernel/osrelease").trim(),
        load.split(' ').next().unwrap_or("?"),
    )
}

/// Resident memory of this process in MiB.
pub fn resident_mib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|p| p.parse().ok()).unwrap_or(0);
    pages * 4_096 / (1 << 20)
}

/// Keeps this thread on one core.
pub fn pin() {
    if let Some(core) = core_affinity::get_core_ids().and_then(|ids| ids.into_iter().next_back()) {
        core_affinity::set_for_current(core);
    }
}
