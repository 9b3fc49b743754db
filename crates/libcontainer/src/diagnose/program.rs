//! Why a program that is there cannot be executed: its first bytes tell.
//!
//! Looked at from outside, in the root file system as the host has it: a program on a
//! mount of the container is not found there, and then nothing is said.

use kernel::beneath::Root;
use kernel::fs::{self, FileKind, OFlags};
use std::os::fd::AsFd;

/// Enough for a `#!` line and for the headers of ELF.
const HEAD: usize = 4096;

/// Numbers of machines in ELF headers, elf(5), for those that images are built for.
const MACHINES: [(u16, &str); 9] = [
    (3, "x86"),
    (8, "mips"),
    (20, "powerpc"),
    (21, "ppc64le"),
    (22, "s390x"),
    (40, "arm"),
    (62, "x86_64"),
    (183, "aarch64"),
    (243, "riscv64"),
];

/// Where programs are when the name is none of a path and the environment is not known.
const PATH: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// What is wrong with `program` in the root at `rootfs`, as far as it can be seen.
pub(crate) fn look(rootfs: &str, program: &str) -> Option<String> {
    let root = Root::new(fs::open_path(rootfs).ok()?);
    let head = if program.contains('/') {
        read(&root, program)?
    } else {
        PATH.iter()
            .find_map(|directory| read(&root, &format!("{directory}/{program}")))?
    };
    let exists = |path: &str| root.look_up(path).is_ok();
    explain(&head, std::env::consts::ARCH, exists)
}

fn read(root: &Root, path: &str) -> Option<Vec<u8>> {
    // A fifo or a device of an image must not be waited for.
    let file = root
        .open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC)
        .ok()?;
    if fs::stat(file.as_fd()).ok()?.kind != FileKind::File {
        return None;
    }
    let mut head = vec![0; HEAD];
    let length = fs::read(file.as_fd(), &mut head).ok()?;
    head.truncate(length);
    Some(head)
}

/// The same from what was read. `exists` asks for a path of the root.
fn explain(head: &[u8], machine: &str, exists: impl Fn(&str) -> bool) -> Option<String> {
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        return explain_script(&String::from_utf8_lossy(line), exists);
    }
    let Some(elf) = head.strip_prefix(b"\x7fELF").map(|_| Elf(head)) else {
        return Some("it is neither a binary nor a script that begins with #!".to_owned());
    };
    let made_for = elf.machine()?;
    // 32-bit programs run on kernels of the same family.
    let family = [("x86_64", "x86"), ("aarch64", "arm")];
    if made_for != machine && !family.contains(&(machine, made_for)) {
        return Some(format!(
            "it is a program for {made_for}, and this machine is {machine}"
        ));
    }
    let loader = elf.loader()?;
    (!exists(&loader))
        .then(|| format!("its loader {loader:?} is not in the root: a static program needs none"))
}

fn explain_script(line: &str, exists: impl Fn(&str) -> bool) -> Option<String> {
    if line.ends_with('\r') {
        return Some(
            "its first line ends with a carriage return: it was written on Windows".to_owned(),
        );
    }
    let interpreter = line.split_whitespace().next()?;
    if !exists(interpreter) {
        return Some(format!(
            "its interpreter {interpreter:?} (the #! line) is not in the root"
        ));
    }
    None
}

/// The header of an ELF file, in the byte order that it says.
struct Elf<'a>(&'a [u8]);

impl Elf<'_> {
    fn number(&self, at: usize, size: usize) -> Option<u64> {
        let bytes = self.0.get(at..at.checked_add(size)?)?;
        let is_big_endian = self.0.get(5) == Some(&2);
        let fold = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if is_big_endian {
            bytes.iter().fold(0, fold)
        } else {
            bytes.iter().rev().fold(0, fold)
        })
    }

    fn machine(&self) -> Option<&'static str> {
        let number = u16::try_from(self.number(18, 2)?).ok()?;
        let known = MACHINES.iter().find(|(known, _)| *known == number);
        Some(known.map_or("another machine", |(_, name)| *name))
    }

    /// PT_INTERP. Only of 64-bit files, and only where it lies in the first page, as
    /// linkers put it.
    fn loader(&self) -> Option<String> {
        const PT_INTERP: u64 = 3;
        if self.0.get(4) != Some(&2) {
            return None;
        }
        let (table, size, count) = (
            self.number(32, 8)?,
            self.number(54, 2)?,
            self.number(56, 2)?,
        );
        let header = (0..count.min(64)).find_map(|index| {
            let at = usize::try_from(table.checked_add(index.checked_mul(size)?)?).ok()?;
            (self.number(at, 4)? == PT_INTERP).then_some(at)
        })?;
        let offset = usize::try_from(self.number(header + 8, 8)?).ok()?;
        let length = usize::try_from(self.number(header + 32, 8)?).ok()?;
        let text = self.0.get(offset..offset.checked_add(length)?)?;
        let text = text.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::explain;

    /// A 64-bit little-endian header with one program header behind it.
    fn elf(machine: u8, loader: &str) -> Vec<u8> {
        let mut file = vec![0; 64 + 56];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[18] = machine;
        file[32] = 64;
        file[54] = 56;
        file[56] = 1;
        file[64] = 3;
        file[64 + 8] = 120;
        file[64 + 32] = u8::try_from(loader.len() + 1).unwrap();
        file.extend_from_slice(loader.as_bytes());
        file.push(0);
        file
    }

    #[test]
    fn first_bytes_tell() {
        let said = |head: &[u8], there: bool| explain(head, "x86_64", |_| there);
        let table: [(&[u8], bool, Option<&str>); 8] = [
            (b"#!/bin/sh\necho\n", true, None),
            (
                b"#!/usr/bin/pyton -u\n",
                false,
                Some("its interpreter \"/usr/bin/pyton\" (the #! line) is not in the root"),
            ),
            (
                b"#!/bin/sh\r\necho\r\n",
                true,
                Some("its first line ends with a carriage return: it was written on Windows"),
            ),
            (
                b"echo\n",
                true,
                Some("it is neither a binary nor a script that begins with #!"),
            ),
            (
                &elf(183, "/l"),
                true,
                Some("it is a program for aarch64, and this machine is x86_64"),
            ),
            (
                &elf(62, "/lib/ld.so"),
                false,
                Some("its loader \"/lib/ld.so\" is not in the root: a static program needs none"),
            ),
            (&elf(62, "/lib/ld.so"), true, None),
            (b"\x7fELF\x02", true, None),
        ];
        for (head, there, wanted) in table {
            assert_eq!(said(head, there).as_deref(), wanted);
        }
    }
}
