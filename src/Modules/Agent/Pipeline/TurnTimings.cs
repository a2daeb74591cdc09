using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Agent.Pipeline;

/// <summary>Where the time between the caller's last sound and the assistant's first went.</summary>
internal sealed class TurnTimings(TimeProvider clock)
{
    private TimeSpan? _recognition;
    private TimeSpan? _endpointing;

    public void Recognised(TimeSpan took) => _recognition = took;

    public void TurnDecided(DateTimeOffset lastSound, DateTimeOffset now) => _endpointing = now - lastSound;

    /// <summary>The timing of a reply; the next turn starts anew.</summary>
    public TurnTiming Of(Reply reply, bool interrupted)
    {
        var answer = Between(reply.StartedAt, reply.FirstSoundAt);
        var timing = new TurnTiming(
            reply.Turn,
            Ms(_endpointing),
            Ms(_recognition),
            Ms(Between(reply.StartedAt, reply.FirstTokenAt)),
            Ms(reply.FirstSentenceAt is { } sentence ? Between(sentence, reply.FirstAudioAt) : null),
            _endpointing is null ? null : Ms(_endpointing + answer),
            interrupted);
        (_recognition, _endpointing) = (null, null);
        return timing;
    }

    private TimeSpan? Between(long from, long? to) => to is null ? null : clock.GetElapsedTime(from, to.Value);

    private static int? Ms(TimeSpan? time) => time is null ? null : (int)Math.Round(time.Value.TotalMilliseconds);
}
