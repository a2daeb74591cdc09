using Google.Protobuf;
using VoicePlatform.LiveKit.Tokens;

namespace VoicePlatform.MediaServer.ServerApi;

/// <summary>
/// The methods of one Twirp service, e.g. <c>livekit.RoomService</c>. Another service (SIP, Egress) is added by handing one more of
/// these to <see cref="TwirpEndpoint"/>.
/// </summary>
internal sealed class TwirpService(string name)
{
    private readonly Dictionary<string, ITwirpMethod> _methods = new(StringComparer.Ordinal);

    public string Name => name;

    /// <summary>Adds a method. The handler is given the caller's token, or null when the call had none.</summary>
    public TwirpService Add<TRequest, TResponse>(string method, Func<TRequest, VerifiedToken?, CancellationToken, Task<TResponse>> handler)
        where TRequest : IMessage<TRequest>, new()
        where TResponse : IMessage
    {
        _methods.Add(method, new Method<TRequest, TResponse>(handler));
        return this;
    }

    public ITwirpMethod? Find(string method) => _methods.GetValueOrDefault(method);

    private sealed class Method<TRequest, TResponse>(Func<TRequest, VerifiedToken?, CancellationToken, Task<TResponse>> handler) : ITwirpMethod
        where TRequest : IMessage<TRequest>, new()
        where TResponse : IMessage
    {
        public IMessage NewRequest() => new TRequest();

        public async Task<IMessage> CallAsync(IMessage request, VerifiedToken? caller, CancellationToken cancellationToken) =>
            await handler((TRequest)request, caller, cancellationToken);
    }
}

/// <summary>A method, whatever its messages are.</summary>
internal interface ITwirpMethod
{
    IMessage NewRequest();

    Task<IMessage> CallAsync(IMessage request, VerifiedToken? caller, CancellationToken cancellationToken);
}
