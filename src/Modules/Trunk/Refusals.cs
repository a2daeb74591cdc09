using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Tenants;

namespace VoicePlatform.Trunks;

/// <summary>What only other modules can say about a trunk or a number.</summary>
internal static class Refusals
{
    /// <summary>An address that the operator does not let tenants reach.</summary>
    public static async Task<Error?> RefusalOfAsync(this IMediator mediator, TrunkSettings settings, CancellationToken ct) =>
        SipAddress.TryParse(settings.Address, out var address) && address.Ip is { } ip
            && (await mediator.Send(new CheckTenantAddress(ip.ToString()), ct)).Value.Refusal is { } refusal
            ? Error.Field("address", "not_allowed", refusal)
            : null;

    public static async Task<Error?> RefusalOfAsync(this IMediator mediator, string tenantId, string assistantId, string? contextUrl, CancellationToken ct)
    {
        if (await mediator.Send(new FindAssistant(tenantId, assistantId), ct) is { IsOk: false })
        {
            return Error.Field("assistant_id", "not_found", "No such assistant.");
        }

        return contextUrl is not null && (await mediator.Send(new CheckTenantUrl(contextUrl), ct)).Value.Refusal is { } refusal
            ? Error.Field("context_url", "not_allowed", refusal)
            : null;
    }
}
