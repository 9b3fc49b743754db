//! `Checkpoint` and `Create` from one, with CRIU itself: run where it is installed, in a
//! machine that gives it what it wants.

use std::fs;
use std::path::{Path, PathBuf};

use runtime_tests::{Bundle, Case, convention, skip};

use crate::checkpoints::options;
use crate::driver::{Answer, Task};
use crate::streams::Both;
use crate::systemd;
use crate::telling::{Telling, compare};

const CHAPTER: &str = "The shim: checkpoints";

fn require(case: &Case) {
    systemd::require(case);
    if !Path::new("/usr/sbin/criu").exists() {
        skip("criu is not installed");
    }
}

/// A container that counts, in a file of the host and on its output.
struct Counter {
    bundle: Bundle,
    volume: PathBuf,
    image: String,
}

impl Counter {
    fn new(telling: &mut Telling) -> Self {
        let mut bundle = telling.bundle(
            "i=0; while :; do i=$((i+1)); echo $i; echo $i >/mnt/new; mv /mnt/new /mnt/n; sleep 0.2; done",
        );
        let own = bundle.path.with_extension("volume");
        fs::create_dir(&own).expect("a directory");
        // containerd makes it for the shim of Go, whose runtime keeps CRIU's log there.
        fs::create_dir(bundle.path.join("work")).expect("a directory");
        bundle.config.bind(&own, "/mnt", &["rbind", "rw"]);
        Self {
            image: bundle
                .path
                .with_extension("image")
                .to_string_lossy()
                .into_owned(),
            volume: own,
            bundle,
        }
    }

    fn count(&self) -> u32 {
        let text = fs::read_to_string(self.volume.join("n")).unwrap_or_default();
        text.trim().parse().unwrap_or_default()
    }

    #[track_caller]
    fn await_more(&self, telling: &Telling) {
        let before = self.count();
        telling
            .case
            .until("it counts", || self.count() > before + 1);
    }

    /// Creates it, anew or from the checkpoint, and starts it.
    #[track_caller]
    fn start(&self, telling: &mut Telling, task: &Task, streams: &Both, image: &str) {
        let made: Answer<u32> = task.create_with(|request| {
            request.stdout.clone_from(&streams.streams.stdout);
            request.stderr.clone_from(&streams.streams.stderr);
            image.clone_into(&mut request.checkpoint);
        });
        let made = telling.must("create", made);
        telling.note("it has a process", made != 0);
        let pid = telling.must("start", task.start(""));
        telling.name(pid, "init");
        self.await_more(telling);
    }
}

#[convention(
    "CRIU: a checkpoint that ends the container, and another task that goes on from there, with streams, exec and state."
)]
fn there_and_back(case: &mut Case) {
    require(case);
    compare(case, |telling| {
        let counter = Counter::new(telling);
        let task = telling.shim(&counter.bundle);
        let first = Both::make(telling, "first");
        counter.start(telling, &task, &first, "");
        let ends = options(|options| options.exit = true);
        telling.must("checkpoint", task.checkpoint(&counter.image, ends));
        telling.must("wait", task.wait(""));
        if telling.is_tested {
            // The shim of Go tells nobody.
            telling.until("/tasks/checkpointed", "c", "");
        }
        telling.until("/tasks/exit", "c", "");
        let there = counter.count();
        let (said, _) = first.all();
        telling.note("it began with 1", said.starts_with("1\n2\n"));
        telling.remove(&task);

        let task = telling.shim(&counter.bundle);
        let second = Both::make(telling, "second");
        let image = counter.image.clone();
        counter.start(telling, &task, &second, &image);
        assert!(counter.count() > there, "not from the beginning");
        telling.tell_state(&task, "");
        crate::service::exec(telling, &task, "e", "test -e /mnt/n");
        let ended = telling.must("wait", task.wait("e"));
        telling.note("exec", ended.exit_status);
        telling.must("delete of the exec", task.delete("e"));
        telling.finish(&task);
        let (said, _) = second.all();
        let number = said.lines().next().and_then(|line| line.parse().ok());
        assert!(
            number > Some(1) && number <= Some(there + 2),
            "{there}: {said}"
        );
    });
}

#[convention("CRIU: a checkpoint that leaves the container running, and one of nothing.")]
fn left_running(case: &mut Case) {
    require(case);
    compare(case, |telling| {
        let counter = Counter::new(telling);
        let task = telling.shim(&counter.bundle);
        let streams = Both::make(telling, "first");
        counter.start(telling, &task, &streams, "");
        telling.must(
            "checkpoint",
            task.checkpoint(&counter.image, options(|_| {})),
        );
        counter.await_more(telling);
        telling.tell_state(&task, "");
        telling.finish(&task);
        telling.note("errors", streams.all().1);

        let task = telling.shim(&counter.bundle);
        let made = task.create_with(|request| request.checkpoint = "/nosuch/image".to_owned());
        telling.must("create", made);
        let started = task.start("").map(drop);
        telling.note("from nothing", started.is_ok());
        telling.remove(&task);
    });
}
