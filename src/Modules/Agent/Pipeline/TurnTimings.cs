using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Agent.Pipeline;

/// <summary>Where the time between the caller's last sound and the assistant's first went.</summary>
internal sealed class TurnTimings(TimeProvider clock)
{
    private TimeSpan? _recognition;
    private (int Turn, TimeSpan Endpointing, TimeSpan? Recognition)? _decided;
    private int _told = -1;

    public void Recognised(TimeSpan took) => _recognition = took;

    /// <summary>The caller's turn is over; <paramref name="turn"/> answers it.</summary>
    public void TurnDecided(int turn, DateTimeOffset lastSound, DateTimeOffset now) => (_decided, _recognition) = ((turn, now - lastSound, _recognition), null);

    /// <summary>The timing of a turn's answer; null for what else is said in the turn: asking back, apologies, goodbyes.</summary>
    public TurnTiming? Of(Reply reply, bool interrupted)
    {
        if (reply.Turn <= _told)
        {
            return null;
        }

        _told = reply.Turn;
        var decided = _decided?.Turn == reply.Turn ? _decided : null;
        var endpointing = decided?.Endpointing;
        return new TurnTiming(
            reply.Turn,
            Ms(endpointing),
            Ms(decided?.Recognition),
            Ms(Between(reply.StartedAt, reply.FirstTokenAt)),
            Ms(reply.FirstSentenceAt is { } sentence ? Between(sentence, reply.FirstAudioAt) : null),
            Ms(endpointing + Between(reply.StartedAt, reply.FirstSoundAt)),
            interrupted);
    }

    private TimeSpan? Between(long from, long? to) => to is null ? null : clock.GetElapsedTime(from, to.Value);

    private static int? Ms(TimeSpan? time) => time is null ? null : (int)Math.Round(time.Value.TotalMilliseconds);
}
