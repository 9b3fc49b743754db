//! The order in which corten's functions should lie in its file: that of their first
//! use. What a command executes is a fifth of the code, and strewn over the file it
//! costs a page fault for each window of 16 pages; side by side it fills a handful.
//!
//! ```text
//! order PROGRAM > functions.ld       the program has its symbols
//! ```
//!
//! The commands of an engine are run and watched. Printed is a linker script that
//! inserts one section behind `.text`; what it does not name stays where it was. A name
//! that no longer exists costs nothing, and hashes of crates are wildcards: the list
//! survives changes of the code and of the compiler, only ever less exact.
//!
//! The section is a segment of its own, at a distance of a page from its neighbours, and
//! so is what is seldom read of the constants. Since Linux 6.18 one fault maps the whole
//! folio that a page of a file lies in, and a folio may be megabytes: only the border of
//! a mapping ends it.

#[cfg(target_arch = "x86_64")]
mod watch;

fn main() -> std::process::ExitCode {
    #[cfg(target_arch = "x86_64")]
    {
        layout::main()
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        eprintln!("order: knows the breakpoints of x86-64 only");
        std::process::ExitCode::FAILURE
    }
}

#[cfg(target_arch = "x86_64")]
mod layout {
    use std::collections::{HashMap, HashSet};
    use std::fs;
    use std::process::{Command, ExitCode};

    use runtime_tests::{Bench, Contents};

    use crate::watch::{self, Who};

    pub fn main() -> ExitCode {
        let Some(program) = std::env::args().nth(1) else {
            eprintln!("usage: order PROGRAM");
            return ExitCode::from(2);
        };
        let bench = Bench::new();
        let archives = Archives::of_c();
        let mut layout = Layout::default();
        for (command, words) in lines(&bench).into_iter().enumerate() {
            let root = bench.state_root("order").to_string_lossy().into_owned();
            let line = [vec![program.clone(), "--root".into(), root], words].concat();
            let uses = watch::first_uses(&line);
            eprintln!("order: {:?}: {} uses", &line[3..], uses.len());
            for one in uses {
                layout.add(archives.pattern(&one.name), command, one.who);
            }
        }
        println!("/* The order of first use; `make order` writes this file. */");
        println!("SECTIONS {{\n  .text.first_used {APART} : AT(0x40000000) {{");
        for pattern in layout.sorted() {
            println!("    {pattern}");
        }
        println!("  }}\n}}\nINSERT AFTER .text;");
        println!("{START}");
        println!("{SELDOM}");
        ExitCode::SUCCESS
    }

    /// Input sections in the order of their first use, and who used them.
    #[derive(Default)]
    struct Layout {
        order: Vec<String>,
        users: HashMap<String, HashSet<(usize, Who)>>,
    }

    impl Layout {
        fn add(&mut self, pattern: String, command: usize, who: Who) {
            let users = self.users.entry(pattern.clone()).or_default();
            if users.is_empty() {
                self.order.push(pattern);
            }
            users.insert((command, who));
        }

        /// The first process of `run` uses two neighbourhoods, its child the end of the
        /// first of them and the one behind it, short commands the middle:
        /// what `run` alone needs, what short commands need too, what init needs too,
        /// what only init needs, and the rest.
        fn sorted(mut self) -> Vec<String> {
            let neighbourhood = |pattern: &String| {
                let users = &self.users[pattern];
                let run = users.contains(&(RUN, Who::Program));
                let init = users.contains(&(RUN, Who::Clone));
                let short = users.contains(&(STATE, Who::Program));
                match (run, init, short) {
                    (true, false, false) => 0,
                    (true, false, true) => 1,
                    (true, true, _) => 2,
                    (false, true, _) => 3,
                    (false, false, _) => 4,
                }
            };
            self.order.sort_by_key(neighbourhood);
            self.order
        }
    }

    /// An address that leaves a page free: two neighbours would be one mapping. What
    /// makes a segment of its own is the physical address that follows it; nobody reads
    /// those of a program.
    const APART: &str = "(ALIGN(CONSTANT(MAXPAGESIZE)) + CONSTANT(MAXPAGESIZE))";

    /// What the C library calls before `main` would lie in front of all other code: one
    /// fault there, and the folio around it is mapped.
    const START: &str = "SECTIONS {
  .init : { KEEP(*(.init)) }
}
INSERT AFTER .text.first_used;";

    /// Constants that no container's start reads: tables of Unicode and of numbers,
    /// those of the C library's locales, what only error messages, panics, `stats` and
    /// network devices need; and behind them what unwinding would need.
    const SELDOM: &str = "SECTIONS {
  .rodata.seldom (ALIGN(CONSTANT(MAXPAGESIZE)) + CONSTANT(MAXPAGESIZE)) : AT(0x20000000) {
    *(.rodata._R*_4core7unicode* .rodata._R*_4core3num*)
    *(.rodata._R*_5gimli* .rodata._R*_9addr2line* .rodata._R*_14rustc_demangle*)
    *(.rodata._R*_19netlink_packet_core* .rodata._R*_20netlink_packet_route*)
    *(.rodata._R*_19serde_path_to_error*)
    *libc.a:C-*.o(.rodata .rodata.*)
    *libc.a:fpioconst.o(.rodata .rodata.*)
    *libm*.a:*(.rodata .rodata.*)
  }
}
INSERT BEFORE .gcc_except_table;";

    /// Places in [`lines`].
    const RUN: usize = 0;
    const STATE: usize = 3;

    /// What engines call, most frequent first where they share functions.
    fn lines(bench: &Bench) -> Vec<Vec<String>> {
        let bundle = |contents| bench.bundle(contents).to_string_lossy().into_owned();
        let (plain, stays) = (bundle(Contents::True), bundle(Contents::Sleep));
        let docker = bundle(Contents::Docker);
        [
            vec!["run", "--bundle", &plain, "order-a"],
            vec!["create", "--bundle", &stays, "order-b"],
            vec!["start", "order-b"],
            vec!["state", "order-b"],
            vec!["exec", "order-b", "/bin/true"],
            vec!["kill", "order-b", "KILL"],
            vec!["delete", "--force", "order-b"],
            vec!["run", "--bundle", &docker, "order-c"],
            vec!["list"],
            vec!["features"],
        ]
        .map(|words| words.into_iter().map(str::to_owned).collect())
        .into()
    }

    /// The C libraries are no heaps of sections, one a function, but of objects.
    struct Archives(HashMap<String, String>);

    impl Archives {
        fn of_c() -> Self {
            let mut objects = HashMap::from([("_start".to_owned(), "*crt1.o".to_owned())]);
            for library in ["libc.a", "libm.a", "libgcc_eh.a"] {
                let path = output("cc", &[&format!("-print-file-name={library}")]);
                // libm.a may be a linker script that names the archives.
                let text = fs::read(path.trim()).unwrap_or_default();
                let text = String::from_utf8_lossy(&text[..text.len().min(1024)]).into_owned();
                let named = text.split_whitespace().filter(|word| word.ends_with(".a"));
                for archive in named.chain([path.trim()]) {
                    list(archive, &mut objects);
                }
            }
            Self(objects)
        }

        /// The input sections that hold a function.
        fn pattern(&self, name: &str) -> String {
            if let Some(object) = self.0.get(name) {
                return format!("{object}(.text .text.*)");
            }
            // Also ".text.unlikely.<name>", and "<name>.llvm.<number>" if several units
            // of compilation share it.
            format!("*(.text*.{}*)", without_hashes(name))
        }
    }

    /// Which object of an archive defines a function, as a linker script names it.
    fn list(archive: &str, objects: &mut HashMap<String, String>) {
        let Some((_, file)) = archive.rsplit_once('/') else {
            return;
        };
        for line in output("nm", &["-A", "--defined-only", archive]).lines() {
            // "<archive>:<object>:<address> <kind> <name>"
            let mut words = line.split_whitespace();
            let (Some(place), Some("T" | "t" | "W" | "i"), Some(name)) =
                (words.next(), words.next(), words.next())
            else {
                continue;
            };
            if let Some(object) = place.rsplit(':').nth(1) {
                objects
                    .entry(name.to_owned())
                    .or_insert_with(|| format!("*{file}:{object}"));
            }
        }
    }

    fn output(program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program).args(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A mangled name (v0) in which the crates' disambiguators, which change with the
    /// compiler and the crates' versions, are wildcards: `Csdx3Lq_4plan` is `Cs*_4plan`.
    fn without_hashes(name: &str) -> String {
        let name = name.split(".llvm.").next().unwrap_or(name);
        let mut out = String::with_capacity(name.len());
        let mut rest = name;
        while let Some(at) = rest.find("Cs") {
            let (before, after) = rest.split_at(at + 2);
            out.push_str(before);
            let hash = after
                .find(|letter: char| !letter.is_ascii_alphanumeric())
                .unwrap_or(0);
            if hash > 0 && after[hash..].starts_with('_') {
                out.push('*');
                rest = &after[hash..];
            } else {
                rest = after;
            }
        }
        out.push_str(rest);
        out
    }
}
