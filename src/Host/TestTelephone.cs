using System.Net;
using VoicePlatform.MediaServer.Sip;

namespace VoicePlatform.Host;

/// <summary>
/// The telephone that keys in test mode ring: a real SIP phone in this process, which starts with the first call. What it does is in the
/// number's last digits: …01 (and any other) answers, repeats the first three things that it hears and hangs up; …02 is busy; …03 rings
/// for ever; …04 declines; …05 hangs up after the greeting.
/// </summary>
internal sealed class TestTelephone(Settings settings, TimeProvider clock, ILoggerFactory logs) : IHostedService, IAsyncDisposable
{
    private const string Busy = "+15005550002";
    private const string Silent = "+15005550003";
    private const string Declining = "+15005550004";
    private const string Brief = "+15005550005";
    private const int Repeats = 3;
    private const int Audible = 400;
    private const int LongestRepeatS = 5;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(800);
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(100);

    private readonly CancellationTokenSource _stopped = new();
    private readonly Lock _lock = new();        // guards the start
    private TestPhone? _phone;
    private Task _answering = Task.CompletedTask;

    /// <summary>host:port.</summary>
    public string Address()
    {
        // The gateway can only reach what is on its own address, or loopback where it is on all.
        var at = settings.Bind.Equals(IPAddress.Any) ? IPAddress.Loopback : settings.Bind;
        lock (_lock)
        {
            if (_phone is null)
            {
                _phone = new TestPhone(new TestPhoneOptions { Bind = at, MannerOf = MannerOf }, clock, logs);
                _phone.Start();
                _answering = AnswerAsync(_phone, _stopped.Token);
            }

            return $"{at}:{_phone.Port}";
        }
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stopped.CancelAsync();
        await _answering.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public async ValueTask DisposeAsync()
    {
        _stopped.Dispose();
        if (_phone is not null)
        {
            await _phone.DisposeAsync();
        }
    }

    private static TestPhoneManner MannerOf(string number) => number switch
    {
        Busy => TestPhoneManner.Busy,
        Silent => TestPhoneManner.Ignore,
        Declining => TestPhoneManner.Decline,
        _ => TestPhoneManner.Answer,
    };

    private async Task AnswerAsync(TestPhone phone, CancellationToken ct)
    {
        var talking = new HashSet<Task>();
        try
        {
            while (true)
            {
                talking.Add(TalkAsync(await phone.NextCallAsync(ct), ct));
                talking.RemoveWhere(t => t.IsCompleted);
            }
        }
        finally
        {
            await Task.WhenAll(talking).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task TalkAsync(TestPhoneCall call, CancellationToken ct)
    {
        await using (call)
        {
            var from = 0;
            for (var said = 0; await HearOutAsync(call, from, ct) is { } heard && call.To != Brief && said < Repeats; said++)
            {
                await call.SpeakAsync(heard.AsMemory(Math.Max(0, heard.Length - (LongestRepeatS * call.Rate))), call.Rate, ct);
                from = call.Heard.Length;
            }
        }
    }

    /// <summary>What was heard from there on, once something was and then nothing for a moment; null when the other side hangs up first.</summary>
    private async Task<short[]?> HearOutAsync(TestPhoneCall call, int from, CancellationToken ct)
    {
        while (!call.Ended.IsCompleted)
        {
            var heard = call.HeardSince(from);
            var last = Array.FindLastIndex(heard, sample => Math.Abs((int)sample) > Audible);
            if (last >= 0 && heard.Length - last > Pause.TotalSeconds * call.Rate)
            {
                return heard[Array.FindIndex(heard, sample => Math.Abs((int)sample) > Audible)..(last + 1)];
            }

            await Task.Delay(Tick, clock, ct);
        }

        return null;
    }
}
