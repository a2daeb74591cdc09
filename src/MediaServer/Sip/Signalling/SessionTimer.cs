using System.Globalization;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>Session-Expires: <c>seconds[;refresher=uac|uas]</c> (RFC 4028, 4).</summary>
internal readonly record struct SessionExpires(TimeSpan Interval, string? Refresher)
{
    // What is longer ends no lost call in time, and from 49 days on no timer takes it.
    private const int LongestSeconds = 24 * 60 * 60;

    public static SessionExpires? Of(SipMessage message)
    {
        var parameters = message.Headers["Session-Expires"] is { } text ? HeaderText.Split(text, ';').ToList() : [];
        return parameters.Count > 0 && Seconds(parameters[0]) is { } interval
            ? new SessionExpires(interval, HeaderText.Parameters(message.Headers["Session-Expires"]!).GetValueOrDefault("refresher")?.ToLowerInvariant())
            : null;
    }

    public static TimeSpan? MinimumOf(SipMessage message) =>
        message.Headers["Min-SE"] is { } text && HeaderText.Split(text, ';').FirstOrDefault() is { } first ? Seconds(first) : null;

    public override string ToString() => $"{Interval.TotalSeconds:0}{(Refresher is null ? "" : ";refresher=" + Refresher)}";

    private static TimeSpan? Seconds(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) && seconds > 0 ? TimeSpan.FromSeconds(Math.Min(seconds, LongestSeconds)) : null;
}

/// <summary>
/// Sees to it that a session both sides lost does not last (RFC 4028): the refresher refreshes at half the interval, the other one hangs
/// up shortly before its end.
/// </summary>
internal sealed class SessionTimer(SipStack stack, SerialQueue queue, Action refresh, Action expired)
{
    private readonly QueueTimer _refresh = stack.NewTimer(queue, refresh);
    private readonly QueueTimer _expiry = stack.NewTimer(queue, expired);

    /// <summary>Null: the session does not expire.</summary>
    public TimeSpan? Interval { get; private set; }

    public bool WeRefresh { get; private set; }

    /// <summary>At every refresh, by either side.</summary>
    public void Start(TimeSpan interval, bool weRefresh)
    {
        (Interval, WeRefresh) = (interval, weRefresh);
        _refresh.Stop();
        if (weRefresh)
        {
            _refresh.Start(interval / 2);
        }

        // RFC 4028, 10: the lesser of 32 s and a third before the end.
        var margin = interval / 3 < TimeSpan.FromSeconds(32) ? interval / 3 : TimeSpan.FromSeconds(32);
        _expiry.Start(weRefresh ? interval : interval - margin);
    }

    /// <summary>A refresh failed that may succeed yet.</summary>
    public void TryAgain(TimeSpan after) => _refresh.Start(after);

    public void Stop()
    {
        Interval = null;
        _refresh.Stop();
        _expiry.Stop();
    }
}
