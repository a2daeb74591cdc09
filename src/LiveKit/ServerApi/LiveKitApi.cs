namespace VoicePlatform.LiveKit.ServerApi;

/// <summary>
/// LiveKit's server API. Every call throws <see cref="LiveKitApiException"/> when it fails. Calls that do no harm when made twice are
/// repeated a little later if LiveKit did not answer; creating a dispatch, dialling, transferring and recording never are.
/// </summary>
/// <param name="http">Its own Timeout should exceed two minutes, or dialling with a wait for the answer is cut short.</param>
public sealed class LiveKitApi(HttpClient http, LiveKitServer server, TimeProvider clock)
{
    private readonly TwirpClient _twirp = new(http, server, clock);

    public RoomApi Rooms => new(_twirp);

    public DispatchApi Dispatches => new(_twirp);

    public SipApi Sip => new(_twirp);

    public EgressApi Egress => new(_twirp);
}
