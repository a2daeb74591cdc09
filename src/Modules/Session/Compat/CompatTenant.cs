using Dapper;
using Microsoft.Extensions.Options;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Tenants;

namespace VoicePlatform.Sessions.Compat;

/// <summary>
/// The tenant of seeds 000 and 001, and the assistant their conversations begin from. Made at the first start, before the first
/// request; of two hosts that start together one makes it. It is charged as any other.
/// </summary>
internal sealed class CompatTenant(IOptions<CompatOptions> options, Transactions transactions) : IHostedService
{
    public string TenantId { get; private set; } = "";

    public string AssistantId { get; private set; } = "";

    /// <exception cref="InvalidOperationException">COMPAT_TENANT names a tenant that is not there.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        if (options.Value.Mode is CompatMode.Off)
        {
            return;
        }

        // Two steps: what belongs to a tenant is made in its name.
        var tenant = await transactions.RunAsync(
            new Caller(), (scope, ct) => scope.GetRequiredService<IMediator>().Send(new OpenCompatTenant(options.Value.TenantId), ct), cancellationToken);
        if (!tenant.IsOk)
        {
            throw new InvalidOperationException($"COMPAT_TENANT is '{options.Value.TenantId}', and there is no such tenant: {tenant.Error.Message}");
        }

        var caller = new Caller();
        caller.Become(tenant.Value, null, null, false);
        var assistant = await transactions.RunAsync(
            caller, (scope, ct) => scope.GetRequiredService<IMediator>().Send(new MakeCompatAssistant(tenant.Value), ct), cancellationToken);
        (TenantId, AssistantId) = assistant.IsOk
            ? (tenant.Value, assistant.Value)
            : throw new InvalidOperationException($"The assistant of COMPAT_TENANT could not be made: {assistant.Error.Message}");
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}

/// <summary>Answers the compatibility tenant's id, making it where none is named.</summary>
internal sealed record OpenCompatTenant(string? Named) : ICommand<string>;

/// <summary>Answers the id of the tenant's base assistant, making it where there is none (any more).</summary>
internal sealed record MakeCompatAssistant(string TenantId) : ICommand<string>;

internal sealed class OpenCompatTenantHandler(UnitOfWork unit, IMediator mediator) : IRequestHandler<OpenCompatTenant, Result<string>>
{
    public async Task<Result<string>> Handle(OpenCompatTenant request, CancellationToken cancellationToken)
    {
        await unit.Connection.ExecuteAsync(new("SELECT pg_advisory_xact_lock(hashtext('session.compat'))", transaction: unit.Transaction, cancellationToken: cancellationToken));
        if (request.Named is { } named)
        {
            var found = await mediator.Send(new FindTenant(named), cancellationToken);
            if (!found.IsOk)
            {
                return found.Error;
            }

            await InsertAsync(named, isOwn: false);
            return named;
        }

        if (await unit.Connection.QuerySingleOrDefaultAsync<string>(
            new("SELECT tenant FROM session.compat WHERE is_own", transaction: unit.Transaction, cancellationToken: cancellationToken)) is { } own)
        {
            return own;
        }

        var opened = await mediator.Send(new OpenTenant("Compatibility", "Compatibility", "compat@example.invalid"), cancellationToken);
        if (!opened.IsOk)
        {
            return opened.Error;
        }

        await InsertAsync(opened.Value.TenantId, isOwn: true);
        return opened.Value.TenantId;

        Task InsertAsync(string tenant, bool isOwn) => unit.Connection.ExecuteAsync(new(
            "INSERT INTO session.compat (tenant, is_own) VALUES (@tenant, @isOwn) ON CONFLICT DO NOTHING", new { tenant, isOwn }, unit.Transaction, cancellationToken: cancellationToken));
    }
}

internal sealed class MakeCompatAssistantHandler(UnitOfWork unit, IMediator mediator) : IRequestHandler<MakeCompatAssistant, Result<string>>
{
    // Without a language model the script answers; a model does not look at its rules.
    private const string Document =
        """
        {
          "name": "Assistant",
          "description": "What the routes without a key talk to (COMPAT_TENANT).",
          "prompt": "You are a helpful voice AI assistant. Be concise and friendly.",
          "greeting": {"text": "Hello, how can I help you today?"},
          "llm": {"options": {
            "rules": [
              {"when": "\\b(bye|goodbye)\\b", "say": "Goodbye.", "end_call": true},
              {"when": "\\b(hello|hi|hey)\\b", "say": "Hello, how can I help you today?"}
            ],
            "otherwise": "I have no language model yet, so this is all I can say."
          }}
        }
        """;

    public async Task<Result<string>> Handle(MakeCompatAssistant request, CancellationToken cancellationToken)
    {
        var known = await unit.Connection.QuerySingleAsync<string?>(
            new("SELECT assistant_id FROM session.compat WHERE tenant = @TenantId FOR UPDATE", request, unit.Transaction, cancellationToken: cancellationToken));
        if (known is not null && (await mediator.Send(new FindAssistant(request.TenantId, known), cancellationToken)).IsOk)
        {
            return known;
        }

        var made = await mediator.Send(new MakeAssistant(Document), cancellationToken);
        if (!made.IsOk)
        {
            return made.Error;
        }

        await unit.Connection.ExecuteAsync(new(
            "UPDATE session.compat SET assistant_id = @AssistantId WHERE tenant = @TenantId", new { made.Value.AssistantId, request.TenantId }, unit.Transaction, cancellationToken: cancellationToken));
        return made.Value.AssistantId;
    }
}
