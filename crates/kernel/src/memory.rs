//! What a process that now waits for a long time gives back.

unsafe extern "C" {
    /// The first byte of the program as it is loaded (ld(1), lld).
    static __executable_start: u8;
    /// The end of its code (end(3)).
    static etext: u8;
}

/// Gives free memory of the allocator back, and the mappings of the program's constants
/// and code: the page cache has them, and what is touched again is mapped again. The
/// kernel maps a program in large pieces, most of it never to be used.
///
/// It takes some ten microseconds, and the faults that follow as many: for who comes to
/// rest, not for who works. Breakpoints in the code are lost, too.
pub fn settle() {
    // SAFETY: the allocator keeps its own locks; nothing that is in use is given back.
    unsafe { libc::malloc_trim(0) };
    // SAFETY: asks for a constant.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let page = usize::try_from(page).unwrap_or(4096);
    let (start, end) = (
        &raw const __executable_start as usize,
        &raw const etext as usize,
    );
    let (start, end) = (start.next_multiple_of(page), end - end % page);
    if start < end {
        // SAFETY: from the start of the program to the end of its code there are its own
        // private mappings of its file, which nobody writes to (relocated data lies
        // behind the code): dropped pages come back from the file with the same content.
        unsafe {
            libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_program_goes_on() {
        let before = vec![7_u8; 1 << 20];
        super::settle();
        assert!(before.iter().all(|byte| *byte == 7));
        assert_eq!(format!("{:?}", (1, "x")), "(1, \"x\")");
    }
}
