#pragma warning disable MA0025 // the surface comes first, the rest of this branch fills it in
using Microsoft.Extensions.Logging;

namespace VoicePlatform.MediaServer.Sip.Media;

internal sealed class PhoneMedia(PhoneMediaOptions options, TimeProvider clock, ILoggerFactory logs) : IAsyncDisposable
{
    /// <exception cref="PhoneMediaException">Says what is missing.</exception>
    public void Start() => throw new NotImplementedException($"{options} {clock} {logs}");

    /// <summary>Takes ports for one call. Dispose the session when the call is over.</summary>
    /// <exception cref="PhoneMediaException">No port is free.</exception>
    public PhoneSession Open(PhoneSessionOptions session, IPhoneObserver observer) => throw new NotImplementedException();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
