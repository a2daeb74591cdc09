using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Rtc.Ffi;

namespace VoicePlatform.LiveKit.Rtc.Native;

/// <summary>
/// Passes the library's own log on, one level lower for what is only interesting to its authors. At most <see cref="MaxPerSecond"/> lines
/// a second get through, for a broken network makes it say the same thing hundreds of times.
/// </summary>
internal sealed partial class NativeLog(ILogger logger, TimeProvider clock)
{
    internal const int MaxPerSecond = 20;

    private readonly Lock _gate = new();
    private long _second;
    private int _written;
    private int _suppressed;

    public void Write(LogBatch batch)
    {
        foreach (var record in batch.Records)
        {
            var level = record.Level switch
            {
                Ffi.LogLevel.LogError => Microsoft.Extensions.Logging.LogLevel.Warning,
                Ffi.LogLevel.LogWarn => Microsoft.Extensions.Logging.LogLevel.Information,
                Ffi.LogLevel.LogInfo => Microsoft.Extensions.Logging.LogLevel.Debug,
                _ => Microsoft.Extensions.Logging.LogLevel.Trace,
            };
            if (logger.IsEnabled(level) && Admit(out var suppressed))
            {
                if (suppressed > 0)
                {
                    LogSuppressed(suppressed);
                }

                LogRecord(level, record.Target, record.Message);
            }
        }
    }

    private bool Admit(out int suppressed)
    {
        lock (_gate)
        {
            suppressed = 0;
            var second = clock.GetUtcNow().ToUnixTimeSeconds();
            if (second != _second)
            {
                suppressed = _suppressed;
                (_second, _written, _suppressed) = (second, 0, 0);
            }

            if (_written < MaxPerSecond)
            {
                _written++;
                return true;
            }

            _suppressed++;
            return false;
        }
    }

    [LoggerMessage("{Target}: {Message}")]
    private partial void LogRecord(Microsoft.Extensions.Logging.LogLevel level, string target, string message);

    [LoggerMessage(Microsoft.Extensions.Logging.LogLevel.Information, "{Count} lines of LiveKit's client library were left out.")]
    private partial void LogSuppressed(int count);
}
