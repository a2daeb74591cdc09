using Microsoft.Extensions.Options;

namespace VoicePlatform.Agent.Worker;

/// <summary>
/// Conversations in rooms that we were handed a token for, rather than dispatched to as a worker. They count and end as the others do.
/// </summary>
internal sealed class HandedRooms(AttendedRoom.Factory rooms, ConversationRegistry running, IOptions<AgentOptions> options, TimeProvider clock) : IHostedService, IDisposable
{
    private readonly CancellationTokenSource _stopped = new();
    private readonly Lock _lock = new();
    private readonly HashSet<Task> _attending = [];
    private bool _isStopping;

    /// <summary>False when no more conversations fit, or the host is stopping.</summary>
    public bool TryAttend(string sessionId, string url, string token)
    {
        lock (_lock)
        {
            if (_isStopping || !running.TryEnter())
            {
                return false;
            }

            _attending.RemoveWhere(t => t.IsCompleted);
            _attending.Add(AttendAsync(sessionId, url, token));
            return true;
        }
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Lets them finish, within bounds.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        Task all;
        lock (_lock)
        {
            _isStopping = true;
            all = Task.WhenAll(_attending);
        }

        await all.WaitAsync(options.Value.DrainTimeout, clock, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _stopped.CancelAsync();
        await all;
    }

    public void Dispose() => _stopped.Dispose();

    private async Task AttendAsync(string sessionId, string url, string token)
    {
        try
        {
            // Who asked does not wait while a room is joined.
            await Task.Yield();
            await rooms().RunAsync(sessionId, url, token, _stopped.Token);
        }
        finally
        {
            running.Leave();
        }
    }
}
