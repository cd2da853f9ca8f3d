"""Number of workers for `auto`: the rule, and the limits of control groups, read from texts."""

import resource

import pytest

from corn.supervisor.configuration.worker_count import Machine, capacity, this_machine
from corn.system.cgroups import cpu_quota, memory_limit
from corn.system.process import MAX_DESCRIPTORS, wanted_limit

MIB = 1 << 20


@pytest.mark.parametrize(
    ("machine", "workers", "by"),
    [
        (Machine(8), 8, "8 CPUs"),
        (Machine(1), 1, "1 CPU"),
        (Machine(8, quota=8.0), 8, "8 CPUs"),
        (Machine(8, quota=1.5), 2, "CPU quota 1.5"),
        (Machine(8, quota=1.4), 1, "CPU quota 1.4"),
        (Machine(8, quota=0.1), 1, "CPU quota 0.1"),
        (Machine(8, quota=4.0, memory=512 * MIB), 2, "memory 512 MiB"),
        (Machine(4, memory=4096 * MIB), 4, "4 CPUs"),
        (Machine(4, memory=100 * MIB), 1, "memory 100 MiB"),
        (Machine(4096), 512, "4096 CPUs"),
    ],
)
def test_worker_count_is_minimum_of_cpus_quota_and_memory(machine, workers, by):
    found = capacity(machine)
    assert (found.workers, found.by) == (workers, by)


V2 = {
    "/proc/self/mountinfo": "30 24 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
    "/proc/self/cgroup": "0::/system.slice/corn.service\n",
}
V1 = {
    "/proc/self/mountinfo": (
        "31 30 0:28 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro master:9 - cgroup cgroup rw,cpu,cpuacct\n"
        "32 30 0:29 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
    ),
    "/proc/self/cgroup": "4:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc/inner\n1:name=systemd:/docker/abc\n",
}
CGROUP = "/sys/fs/cgroup"


@pytest.mark.parametrize(
    ("files", "quota", "memory"),
    [
        ({}, None, None),
        (V2, None, None),
        (V2 | {f"{CGROUP}/system.slice/corn.service/cpu.max": "max 100000\n"}, None, None),
        (
            V2
            | {
                f"{CGROUP}/system.slice/corn.service/cpu.max": "300000 100000\n",
                f"{CGROUP}/system.slice/cpu.max": "150000 100000\n",
                f"{CGROUP}/system.slice/corn.service/memory.max": "max\n",
                f"{CGROUP}/system.slice/memory.max": f"{512 * MIB}\n",
            },
            1.5,
            512 * MIB,
        ),
        # A container with its own cgroup namespace, and one that is shown a path it cannot see.
        (V2 | {"/proc/self/cgroup": "0::/\n", f"{CGROUP}/cpu.max": "50000 100000\n"}, 0.5, None),
        (V2 | {"/proc/self/cgroup": "0::/../other\n", f"{CGROUP}/cpu.max": "50000 100000\n"}, 0.5, None),
        (
            V1
            | {
                f"{CGROUP}/cpu,cpuacct/cpu.cfs_quota_us": "250000\n",
                f"{CGROUP}/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
                f"{CGROUP}/memory/memory.limit_in_bytes": f"{1024 * MIB}\n",
                f"{CGROUP}/memory/inner/memory.limit_in_bytes": f"{256 * MIB}\n",
            },
            2.5,
            256 * MIB,
        ),
        (
            V1
            | {
                f"{CGROUP}/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
                f"{CGROUP}/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
                f"{CGROUP}/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            None,
            None,
        ),
        ({"/proc/self/mountinfo": "nonsense\n - \n", "/proc/self/cgroup": "::\n\nx\n"}, None, None),
    ],
)
def test_cgroup_limits_are_read_from_v1_and_v2(files, quota, memory):
    assert cpu_quota(files.get) == quota
    assert memory_limit(files.get) == memory


def test_worker_count_of_current_machine_is_found():
    machine = this_machine()
    assert machine.cpus >= 1
    assert machine.memory is None or machine.memory > MIB


@pytest.mark.parametrize(
    ("soft", "hard", "wanted"),
    [
        (1024, 4096, 4096),
        (1024, 1 << 20, MAX_DESCRIPTORS),
        (1024, resource.RLIM_INFINITY, MAX_DESCRIPTORS),
        (1 << 18, 1 << 20, 1 << 18),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, resource.RLIM_INFINITY),
    ],
)
def test_descriptor_limit_is_raised_within_hard_limit(soft, hard, wanted):
    assert wanted_limit(soft, hard) == wanted
