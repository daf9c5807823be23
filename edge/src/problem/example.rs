//! What each problem looks like, for descriptions.

use std::borrow::Cow;

use super::{Code, FieldError, ProblemDetails};

/// Codes that are about a field, with where it might be, what is said of it in one word, and what for people.
const FIELDS: [(Code, &str, &str, &str); 8] = [
    (Code::InvalidFields, "/surprise", "unknown", "no such field here"),
    (
        Code::UnknownQueryParameter,
        "/surprise",
        "unknown",
        "no such parameter here",
    ),
    (Code::InvalidQuery, "/limit", "invalid_value", "is not valid"),
    (
        Code::TooFewMembers,
        "/user_ids",
        "too_few_members",
        "a group has at least 3 members",
    ),
    (
        Code::TooManyMembers,
        "/user_ids",
        "too_many_members",
        "a group has at most 3000 members",
    ),
    (
        Code::CannotBeInvited,
        "/user_ids/0",
        "cannot_be_invited",
        "cannot be invited",
    ),
    (
        Code::MentionsNoMember,
        "/mentions/0",
        "mentions_no_member",
        "no member of the room",
    ),
    (
        Code::NotInTheFuture,
        "/muted_until",
        "not_in_the_future",
        "the time is not in the future",
    ),
];

impl Code {
    /// A problem with this code as clients see it.
    pub fn example(self) -> ProblemDetails {
        let fields = FIELDS.iter().filter(|(code, ..)| *code == self);
        let errors = fields.map(|(_, pointer, word, detail)| FieldError::new(*pointer, word, *detail));
        let request_id = "5a1c0e3f9b7d42680c4e6a8b1d3f5079".to_owned();
        ProblemDetails::new(
            self,
            Cow::Borrowed(self.usual_detail()),
            Some(request_id),
            errors.collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Problem;

    #[test]
    fn an_example_is_what_the_problem_itself_would_say() {
        for code in Code::ALL {
            let example = code.example();
            let said = Problem::new(*code).into_details(None);
            assert_eq!(
                (
                    &example.kind,
                    example.title,
                    example.status,
                    &example.detail,
                    example.code
                ),
                (&said.kind, said.title, said.status, &said.detail, said.code)
            );
        }
    }
}
