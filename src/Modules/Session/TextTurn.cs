namespace VoicePlatform.Sessions;

/// <summary>What somebody writes to the assistant of a text session, by whichever door.</summary>
internal sealed record TextTurn(string SessionId, string? Text) : IRequest<Result<TextReply>>, IEffect
{
    internal sealed class Validator : AbstractValidator<TextTurn>
    {
        public Validator() => RuleFor(c => c.Text).NotEmpty().MaximumLength(8_000);
    }
}

/// <param name="Ended">The conversation is over: the assistant ended it with this answer, or somebody else did while it was made.</param>
internal sealed record TextReply(string Text, int Turn, bool Ended);
