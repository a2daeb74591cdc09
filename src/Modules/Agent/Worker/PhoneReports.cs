using System.Threading.Channels;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Agent.Worker;

/// <summary>Tells Session how far the telephone got, in order and at once; never waited for by the conversation.</summary>
internal sealed class PhoneReports : IAsyncDisposable
{
    private static readonly TimeSpan LastPatience = TimeSpan.FromSeconds(5);

    // One of each: a telephone is dialled, rings and is answered once.
    private readonly Channel<PhoneState> _states = Channel.CreateBounded<PhoneState>(new BoundedChannelOptions(8) { SingleReader = true });
    private readonly Task _telling;
    private readonly TimeProvider _clock;

    public PhoneReports(string sessionId, Func<ReportPhoneState, CancellationToken, Task<Result<Done>>> send, TimeProvider clock, Action<Exception> failed)
    {
        _clock = clock;
        _telling = TellAsync();

        async Task TellAsync()
        {
            await foreach (var state in _states.Reader.ReadAllAsync())
            {
                try
                {
                    await send(new ReportPhoneState(sessionId, state), CancellationToken.None);
                }
                catch (Exception e)
                {
                    // The next report of the conversation, and the dialler, tell the same.
                    failed(e);
                }
            }
        }
    }

    public void Tell(PhoneState state) => _states.Writer.TryWrite(state);

    public async ValueTask DisposeAsync()
    {
        _states.Writer.TryComplete();
        await _telling.WaitAsync(LastPatience, _clock).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }
}
