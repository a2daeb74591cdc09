using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace VoicePlatform.SharedKernel;

/// <summary>
/// Takes up what is due, so much at a time, and works on each on its own: one that waits for the network keeps nobody else. Any number of hosts may do
/// so; a claim is a lease, and what a host left is taken up again when that is over.
/// </summary>
/// <param name="atOnce">Worked on at a time, in this process.</param>
/// <param name="interval">Between two looks when nothing wakes it.</param>
public abstract partial class ClaimLoop<T>(int atOnce, TimeSpan interval, WakeUp wakeUp, TimeProvider clock, ILogger log) : BackgroundService
    where T : class
{
    private readonly HashSet<Task> _working = [];

    protected TimeProvider Clock => clock;

    protected ILogger Log => log;

    /// <summary>The next one that is due, leased to us; null when there is none.</summary>
    protected abstract Task<T?> ClaimAsync(CancellationToken ct);

    protected abstract Task WorkAsync(T claimed, CancellationToken ct);

    protected sealed override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                _working.RemoveWhere(t => t.IsCompleted);
                while (_working.Count < atOnce && await ClaimAsync(stoppingToken) is { } claimed)
                {
                    _working.Add(TryAsync(claimed, stoppingToken));
                }
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                Failed(log, e);
            }
            catch (OperationCanceledException)
            {
                break;
            }

            try
            {
                await wakeUp.WaitAsync(interval, clock, stoppingToken);
            }
            catch (OperationCanceledException)
            {
                break;
            }
        }

        await Task.WhenAll(_working);
    }

    /// <summary>Never fails: what could not be finished is taken up again when its lease is over.</summary>
    private async Task TryAsync(T claimed, CancellationToken ct)
    {
        try
        {
            await WorkAsync(claimed, ct);
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            // Stopping: the lease ends, and the next start takes it up.
        }
        catch (Exception e)
        {
            Failed(log, e);
        }
        finally
        {
            wakeUp.Wake();
        }
    }

    [LoggerMessage(LogLevel.Error, "What is due could not be taken up or finished; it is tried again")]
    private static partial void Failed(ILogger logger, Exception exception);
}
