//! `#[must("sentence")]` and its like: a test, what it holds and how binding that
//! is, in one place. Each leaves the function as it is and registers it beside.

use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// The runtime specification says MUST, or describes what a property does: a runtime
/// that applies a property in another way has not applied it.
#[proc_macro_attribute]
pub fn must(sentence: TokenStream, function: TokenStream) -> TokenStream {
    register("Must", sentence, function)
}

/// The runtime specification says SHOULD.
#[proc_macro_attribute]
pub fn should(sentence: TokenStream, function: TokenStream) -> TokenStream {
    register("Should", sentence, function)
}

/// The runtime specification says MAY.
#[proc_macro_attribute]
pub fn may(sentence: TokenStream, function: TokenStream) -> TokenStream {
    register("May", sentence, function)
}

/// Not in the specification: what engines rely on and runtimes have in common, or
/// a promise of one runtime.
#[proc_macro_attribute]
pub fn convention(sentence: TokenStream, function: TokenStream) -> TokenStream {
    register("Convention", sentence, function)
}

/// A test of a published attack, and the defence without which it must fail: the name
/// of one of `crates/defence`. Below the attribute that makes it a test.
#[proc_macro_attribute]
pub fn falls_without(defence: TokenStream, function: TokenStream) -> TokenStream {
    beside("register_defence", defence, function)
}

/// The function, followed by `::runtime_tests::register! { Level, sentence, name }`.
fn register(level: &str, sentence: TokenStream, function: TokenStream) -> TokenStream {
    let is_text = |tree: &TokenTree| tree.to_string().starts_with(['"', 'r']);
    if sentence.is_empty() || !sentence.clone().into_iter().all(|tree| is_text(&tree)) {
        return error("the sentence that the test holds belongs here: #[must(\"...\")]");
    }
    let call_site = TokenTree::Ident(Ident::new(level, Span::call_site()));
    let mut arguments = TokenStream::from_iter([call_site, comma()]);
    arguments.extend(sentence);
    beside("register", arguments, function)
}

/// The function, followed by `::runtime_tests::macro! { arguments, name }`.
fn beside(name_of_macro: &str, mut arguments: TokenStream, function: TokenStream) -> TokenStream {
    let mut words = function.clone().into_iter();
    let found = words.any(|tree| tree.to_string() == "fn");
    let Some(name) = words.next().filter(|_| found) else {
        return error("this attribute belongs above a function");
    };
    arguments.extend([comma(), name]);
    let mut output = function;
    output.extend(macro_call(&["runtime_tests", name_of_macro], arguments));
    output
}

fn error(message: &str) -> TokenStream {
    let text = TokenTree::Literal(Literal::string(message));
    macro_call(&["core", "compile_error"], text.into())
}

fn macro_call(path: &[&str], arguments: TokenStream) -> TokenStream {
    let mut output = TokenStream::new();
    for part in path {
        output.extend([
            TokenTree::Punct(Punct::new(':', Spacing::Joint)),
            TokenTree::Punct(Punct::new(':', Spacing::Alone)),
            TokenTree::Ident(Ident::new(part, Span::call_site())),
        ]);
    }
    output.extend([
        TokenTree::Punct(Punct::new('!', Spacing::Alone)),
        TokenTree::Group(Group::new(Delimiter::Brace, arguments)),
    ]);
    output
}

fn comma() -> TokenTree {
    TokenTree::Punct(Punct::new(',', Spacing::Alone))
}
