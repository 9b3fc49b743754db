//! "Did you mean": the program that a name was mistyped for.

/// The candidate that is nearest to `name`, if one is near enough to be meant.
pub(super) fn closest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    // A slip in a short name, two in a longer one: beyond that it is another program.
    let most = match name.chars().count() {
        0..=2 => return None,
        3..=5 => 1,
        _ => 2,
    };
    let near = candidates
        .filter(|candidate| *candidate != name)
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= most);
    near.min().map(|(_, candidate)| candidate)
}

/// How many letters must be changed, added, dropped, or swapped with the next one
/// (optimal string alignment).
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    if one.len().abs_diff(other.len()) > 2 {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, wanted) in other.iter().enumerate() {
            let same = usize::from(letter != wanted);
            let cell =
                |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX - 1);
            let mut least = (cell(&row, j) + same)
                .min(cell(&row, j + 1) + 1)
                .min(cell(&next, j) + 1);
            let swapped = i > 0
                && j > 0
                && one.get(i - 1) == Some(wanted)
                && other.get(j - 1) == Some(letter);
            if swapped {
                least = least.min(cell(&before, j - 1) + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn a_slip_is_found_and_another_program_is_not() {
        let programs = ["sh", "bash", "ls", "cat", "python3", "sleep", "hostname"];
        for (typed, meant) in [
            ("bahs", Some("bash")),
            ("pyhton3", Some("python3")),
            ("hostnam", Some("hostname")),
            ("slep", Some("sleep")),
            ("ca", None),
            ("node", None),
            ("", None),
        ] {
            assert_eq!(closest(typed, programs.iter().copied()), meant, "{typed}");
        }
    }
}
