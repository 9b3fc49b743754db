//! Hosts with many containers, mounts and control groups. Whatever is made here is
//! removed again, also when a measurement panics.

use std::fs;
use std::path::PathBuf;

use runtime_tests::{Bench, Contents};
use rustix::mount::{UnmountFlags, mount_bind, unmount};

use crate::commands;
use crate::contestant::{Contestant, Verb};
use crate::table::{Samples, Table};

/// `list` and `state` with this many created containers.
pub fn measure_alive(
    contestants: &[Contestant],
    bench: &Bench,
    alive: usize,
    rounds: usize,
) -> Vec<Table> {
    let mut rows: [Vec<Samples>; 2] = [Vec::new(), Vec::new()];
    for one in contestants {
        let population = Population::make(one, bench, alive);
        let about = bench.id(&one.name, alive / 2);
        for (index, rows) in rows.iter_mut().enumerate() {
            if index == 0 && one.is_floor() {
                continue;
            }
            let time = || match index {
                0 => one.time_list(bench),
                _ => one.time(bench, Verb::State, &about),
            };
            let times: Result<Vec<f64>, String> = match &population {
                Ok(_) => (0..rounds)
                    .map(|_| time().map(|time| time as f64 / 1000.0))
                    .collect(),
                Err(failure) => Err(failure.clone()),
            };
            let (values, failure) = match times {
                Ok(values) => (values, None),
                Err(failure) => (Vec::new(), Some(failure)),
            };
            rows.push(Samples {
                name: one.name.clone(),
                values,
                failure,
            });
        }
    }
    let names = ["list", "state"].map(|name| format!("{name} with {alive} containers alive"));
    names
        .into_iter()
        .zip(rows)
        .map(|(what, rows)| Table {
            what,
            unit: "ms",
            gap: "back to back",
            rows,
        })
        .collect()
}

/// Containers that are deleted when it goes.
struct Population<'a> {
    one: &'a Contestant,
    bench: &'a Bench,
    made: usize,
}

impl<'a> Population<'a> {
    fn make(one: &'a Contestant, bench: &'a Bench, alive: usize) -> Result<Self, String> {
        let mut population = Self {
            one,
            bench,
            made: 0,
        };
        for number in 0..alive {
            population.made = number + 1;
            one.perform(
                bench,
                Verb::Create(Contents::True),
                &bench.id(&one.name, number),
            )?;
        }
        Ok(population)
    }
}

impl Drop for Population<'_> {
    fn drop(&mut self) {
        for number in 0..self.made {
            let id = self.bench.id(&self.one.name, number);
            let _ = self.one.perform(self.bench, Verb::Delete, &id);
        }
    }
}

/// `run` on a host with this many more mounts. The view is a mount namespace of our
/// own: the machine never sees them.
pub fn measure_mounts(contestants: &[Contestant], bench: &Bench, rounds: usize) -> Vec<Table> {
    let with = |count: usize| {
        let _mounts = Mounts::make(bench, count);
        let what = format!("run, {count} more mounts on the host");
        commands::measure_run(what, contestants, bench, rounds)
    };
    [0, 500, 2000].map(with).into()
}

struct Mounts(Vec<PathBuf>);

impl Mounts {
    fn make(bench: &Bench, count: usize) -> Self {
        let mut mounts = Self(Vec::new());
        let source = bench.directory().join("mounted");
        fs::create_dir_all(&source).expect("a directory");
        for number in 0..count {
            let target = bench.directory().join(format!("mounts/{number}"));
            fs::create_dir_all(&target).expect("a directory");
            mount_bind(&source, &target).expect("a bind mount");
            mounts.0.push(target);
        }
        mounts
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        for target in self.0.iter().rev() {
            let _ = unmount(target, UnmountFlags::DETACH);
        }
    }
}

/// `run` on a host with this many leftover control groups.
pub fn measure_cgroups(
    contestants: &[Contestant],
    bench: &Bench,
    count: usize,
    rounds: usize,
) -> Vec<Table> {
    let with = |count: usize| {
        let _leftovers = Leftovers::make(bench, count);
        let what = format!("run, {count} more cgroups on the host");
        commands::measure_run(what, contestants, bench, rounds)
    };
    [0, count].map(with).into()
}

/// A subtree of our own in the cgroup2 hierarchy.
struct Leftovers {
    top: PathBuf,
    count: usize,
}

impl Leftovers {
    fn make(bench: &Bench, count: usize) -> Self {
        let top = PathBuf::from("/sys/fs/cgroup").join(bench.id("leftovers", 0));
        let mut leftovers = Self { top, count: 0 };
        if count > 0 {
            fs::create_dir(&leftovers.top).expect("a control group");
        }
        for number in 0..count {
            leftovers.count = number + 1;
            fs::create_dir(leftovers.top.join(number.to_string())).expect("a control group");
        }
        leftovers
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        for number in 0..self.count {
            let _ = fs::remove_dir(self.top.join(number.to_string()));
        }
        let _ = fs::remove_dir(&self.top);
    }
}
