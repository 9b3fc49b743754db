//! A man page for each command: the sections that clap knows of, and our own.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_mangen::Man;

/// Programs for the administrator.
const SECTION: &str = "8";

/// What stands in corten(8) alone.
const MORE: &str = "\
.SH EXIT STATUS
.TP
0
Done, or the program of the container ended with 0.
.TP
1
An error, told in one line on standard error. \\fBcorten help errors\\fR explains them.
.TP
255
An \\fBexec\\fR that failed itself.
.PP
\\fBrun\\fR and \\fBexec\\fR in the foreground end with the status of the program, or with
128 + the number of the signal that ended it.
.SH ENVIRONMENT
.TP
XDG_RUNTIME_DIR
Where callers who are not root have the state of their containers.
.TP
NO_COLOR
If it is not empty nothing is coloured, nor is it where output is no terminal.
.SH FILES
.TP
/run/corten
The state of the containers of root.
";

pub fn write_pages(mut program: Command, date: &str, directory: &Path) -> io::Result<()> {
    program = program
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true);
    program.build();
    write_page(&program, date, directory)
}

fn write_page(command: &Command, date: &str, directory: &Path) -> io::Result<()> {
    let below = || {
        command
            .get_subcommands()
            .filter(|below| !below.is_hide_set())
    };
    for command in below() {
        write_page(command, date, directory)?;
    }
    let man = Man::new(command.clone())
        .section(SECTION)
        .date(date)
        .source(concat!("corten ", env!("CARGO_PKG_VERSION")))
        .manual("Containers");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if below().next().is_some() {
        man.render_subcommands_section(&mut page)?;
    }
    let name = command.get_display_name().unwrap_or(command.get_name());
    let is_program = name == "corten";
    if is_program {
        page.write_all(MORE.as_bytes())?;
    }
    if let Some(extra) = command.get_after_help() {
        page.write_all(extra_sections(&extra.to_string()).as_bytes())?;
    }
    let also = match is_program {
        true => ".BR runc (8),\n.BR podman (1),\n.BR containerd-shim-corten-v2 (8)\n",
        false => ".BR corten (8)\n",
    };
    page.write_all(format!(".SH \"SEE ALSO\"\n{also}").as_bytes())?;
    let page = String::from_utf8_lossy(&page).into_owned();
    fs::write(directory.join(man.get_filename()), tidied(&page))
}

/// What stands below the options of `--help`: examples as they are, sentences as text.
fn extra_sections(text: &str) -> String {
    let (mut notes, mut examples) = (String::new(), String::new());
    for block in text.split("\n\n") {
        match block.strip_prefix("Examples:\n") {
            Some(lines) => {
                examples += ".SH EXAMPLES\n.nf\n";
                for line in lines.lines() {
                    examples += &(escaped(line.trim_start()) + "\n");
                }
                examples += ".fi\n";
            }
            None => {
                notes += if notes.is_empty() {
                    ".SH NOTES\n"
                } else {
                    ".PP\n"
                };
                for line in block.lines() {
                    notes += &(escaped(line) + "\n");
                }
            }
        }
    }
    notes + &examples
}

fn escaped(line: &str) -> String {
    let line = line
        .replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq");
    match line.starts_with('.') {
        true => format!("\\&{line}"),
        false => line,
    }
}

/// One vertical space where clap_mangen has two line breaks around an empty line.
fn tidied(page: &str) -> String {
    page.replace("\n.br\n\n.br\n", "\n.sp\n")
}
