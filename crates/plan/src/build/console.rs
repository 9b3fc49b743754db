//! `process.terminal` and who holds its other end.

use oci_spec::runtime::Process;

use super::Context;
use crate::{ConfigPath, ConsoleSize, InitOp, PlanError, TerminalHost};

/// Checks the combinations that engines know by their wording, and adds the step
/// that opens the terminal.
pub(crate) fn build(context: &mut Context<'_>, process: &Process) {
    let at = ConfigPath::new("process.terminal");
    let terminal = process.terminal() == Some(true);
    match (terminal, context.request.terminal) {
        (true, TerminalHost::None) => {
            let text = "cannot allocate tty if corten will detach without setting console socket";
            let hint = "give --console-socket, or set process.terminal to false";
            context.problem(PlanError::conflict(at, text).hint(hint));
        }
        (false, TerminalHost::Socket) => {
            let at = ConfigPath::flag("--console-socket");
            let text = "cannot use console socket if corten will not detach or allocate tty";
            let hint = "set process.terminal to true";
            context.problem(PlanError::conflict(at, text).hint(hint));
        }
        (true, _) => {
            let size = read_size(context, process);
            let uid = process.user().uid();
            context.init(
                at,
                InitOp::OpenConsole {
                    size,
                    uid,
                    device: true,
                },
            );
        }
        (false, _) => {}
    }
}

/// Both sides or none; zero means "whatever it is".
fn read_size(context: &mut Context<'_>, process: &Process) -> Option<ConsoleSize> {
    let at = ConfigPath::new("process.consoleSize");
    let size = process.console_size()?;
    let mut side = |name: &str, cells: u64| {
        let fits = u16::try_from(cells).ok();
        if fits.is_none() {
            let wanted = format!("at most {} cells", u16::MAX);
            let problem = PlanError::invalid(at.field(name), wanted, cells.to_string());
            context.problem(problem);
        }
        fits
    };
    let (height, width) = (side("height", size.height()), side("width", size.width()));
    let (height, width) = (height?, width?);
    (height > 0 && width > 0).then_some(ConsoleSize { height, width })
}
