using Google.Protobuf.WellKnownTypes;
using VoicePlatform.Calls.Live;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.ServerApi;

namespace VoicePlatform.Calls.Features;

/// <summary>Hands the caller over to another number (SIP REFER) and leaves. When the carrier does not do it, the call goes on as it was.</summary>
internal static class TransferCall
{
    private const int DefaultRingTimeoutS = 30;

    public static void Map(RouteGroupBuilder calls) => calls
        .MapPost("/{id}/transfer", async (string id, Body body, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(caller.TenantId, id, body.To, body.PlayDialtone, body.RingTimeoutS ?? DefaultRingTimeoutS), ct))
            .ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(TransferCall))
        .Produces<Response>();

    /// <param name="To">E.164, or sip:user@host.</param>
    public sealed record Body(string? To, bool PlayDialtone = false, int? RingTimeoutS = null);

    public sealed record Command(string TenantId, string CallId, string? To, bool PlayDialtone, int RingTimeoutS) : IRequest<Result<Response>>, IEffect;

    public sealed record Response(string Id, string TransferredTo);

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.To).Must(to => E164.IsValid(to) || IsSipUri(to)).WithMessage("'to' must be a number in E.164 form or a sip: address.");
            RuleFor(c => c.RingTimeoutS).InclusiveBetween(5, 80);
        }

        private static bool IsSipUri(string? to) =>
            to is { Length: <= 300 } && (to.StartsWith("sip:", StringComparison.Ordinal) || to.StartsWith("sips:", StringComparison.Ordinal))
            && to.Split('@') is [{ Length: > 4 }, { Length: > 0 }] && !to.AsSpan().ContainsAnyExceptInRange('!', '~') && to.AsSpan().IndexOfAny("<>\"\\") < 0;
    }

    internal sealed class Handler(LiveCalls live, LiveKitApi livekit, IMediator mediator) : IRequestHandler<Command, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Command command, CancellationToken cancellationToken)
        {
            var found = await live.FindAsync(command.TenantId, command.CallId, cancellationToken);
            if (!found.IsOk)
            {
                return found.Error;
            }

            var call = found.Value;
            try
            {
                var answer = await livekit.Sip.TransferParticipantAsync(
                    new TransferSIPParticipantRequest
                    {
                        RoomName = call.RoomName,
                        ParticipantIdentity = call.ParticipantIdentity,
                        TransferTo = E164.IsValid(command.To) ? $"tel:{command.To}" : command.To,
                        PlayDialtone = command.PlayDialtone,
                        RingingTimeout = Duration.FromTimeSpan(TimeSpan.FromSeconds(command.RingTimeoutS)),
                    },
                    CancellationToken.None);

                // Older servers answer with nothing; an error would have been thrown.
                if (answer.Status is SIPTransferStatus.StsTransferFailed)
                {
                    return Refused((int?)answer.SipStatus?.Code, answer.SipStatus?.Status ?? answer.Reason.ToString());
                }
            }
            catch (LiveKitApiException e)
            {
                return e.Code == "not_found" ? CallErrors.NotInProgress
                    : e.SipStatusCode is null && (e.Status is null || e.IsRetryable) ? CallErrors.MediaUnavailable
                    : Refused(e.SipStatusCode, e.SipStatus ?? e.Message);
            }

            // The caller is with somebody else now, whatever became of the request.
            var finished = await mediator.Send(new FinishSession(call.SessionId, EndReasons.Transferred), CancellationToken.None);
            return finished.IsOk ? new Response(call.CallId, command.To!) : finished.Error;
        }

        private static Error Refused(int? sipCode, string reason) => new(
            ErrorKind.Refused, "call.transfer_refused", $"The transfer did not come about{(sipCode is { } code ? $" (SIP {code})" : "")}: {reason}. The call goes on.");
    }
}
