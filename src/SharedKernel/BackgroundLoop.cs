using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace VoicePlatform.SharedKernel;

/// <summary>
/// Works from the host's start to its stop: a pass every interval, or as soon as it is woken. After a pass that failed the next one waits for the
/// interval, woken or not: what is broken is not asked in a hurry.
/// </summary>
public abstract partial class BackgroundLoop(TimeSpan interval, TimeProvider clock, ILogger log, WakeUp? wakeUp = null) : BackgroundService
{
    protected TimeProvider Clock => clock;

    protected ILogger Log => log;

    /// <summary>One pass: all that is to be done now.</summary>
    protected abstract Task WorkAsync(CancellationToken ct);

    protected sealed override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (true)
            {
                if (await TryAsync(stoppingToken) && wakeUp is not null)
                {
                    await wakeUp.WaitAsync(interval, clock, stoppingToken);
                }
                else
                {
                    await Task.Delay(interval, clock, stoppingToken);
                }
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // Shutting down.
        }
    }

    private async Task<bool> TryAsync(CancellationToken ct)
    {
        try
        {
            await WorkAsync(ct);
            return true;
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            Failed(log, interval, e);
            return false;
        }
    }

    [LoggerMessage(LogLevel.Error, "A pass failed; the next is in {Interval}")]
    private static partial void Failed(ILogger logger, TimeSpan interval, Exception exception);
}
