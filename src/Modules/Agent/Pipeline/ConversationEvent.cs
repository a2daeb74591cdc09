using VoicePlatform.Agent.Speech;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Agent.Pipeline;

/// <summary>What happens to a conversation, one at a time, in the order in which it is dealt with.</summary>
internal abstract record ConversationEvent
{
    private ConversationEvent()
    {
    }

    /// <summary>The caller is there and can hear.</summary>
    public sealed record CallerReady : ConversationEvent;

    /// <param name="LostLine">A telephone that did not hang up, but whose line broke.</param>
    /// <param name="At">Where it was learnt late; null: now.</param>
    public sealed record CallerLeft(bool LostLine = false, DateTimeOffset? At = null) : ConversationEvent;

    public sealed record SpeechStarted(DateTimeOffset At) : ConversationEvent;

    /// <summary>The caller speaks on; the recogniser was given a new segment.</summary>
    public sealed record SpeechContinued : ConversationEvent;

    public sealed record SpeechStopped(DateTimeOffset LastSound) : ConversationEvent;

    public sealed record Heard(Transcription Transcription) : ConversationEvent;

    /// <summary>The caller wrote instead of speaking.</summary>
    public sealed record Wrote(string Text) : ConversationEvent;

    /// <summary>The caller pressed a key: 0 to 9, *, # or A to D.</summary>
    public sealed record Pressed(char Key) : ConversationEvent;

    /// <summary>The caller was put on hold by the exchange, or is back.</summary>
    public sealed record Held(bool IsOnHold) : ConversationEvent;

    /// <summary>An answering machine's tone.</summary>
    public sealed record Beeped : ConversationEvent;

    /// <summary>Somebody outside has the assistant say something.</summary>
    public sealed record Say(string Text) : ConversationEvent;

    public sealed record SentenceBegan(Reply Reply, string Sentence) : ConversationEvent;

    public sealed record ReplyEnded(Reply Reply, Exception? Error) : ConversationEvent;

    /// <summary>A model or voice was given up, and another does its work.</summary>
    public sealed record ProviderGivenUp(ProviderException Error) : ConversationEvent;

    /// <summary>What the last report was answered with.</summary>
    /// <param name="CoveredUntil">Until when the conversation is paid for; null: to its end.</param>
    public sealed record Reported(Continuation Continuation, DateTimeOffset? CoveredUntil = null) : ConversationEvent;

    /// <summary>The caller was handed over, or was not.</summary>
    /// <param name="Failure">Null when he was.</param>
    public sealed record Transferred(string To, string? Failure) : ConversationEvent;

    public sealed record Woke : ConversationEvent;

    /// <summary>Somebody outside ends it.</summary>
    public sealed record Stop(string Reason) : ConversationEvent;
}
