"""What TensorFlow's own suites for freezing, loading, saving and the command line try, asked of what is made here.

Where each suite's behaviours are held, of those that a conversion has; the names of its tests stand at ours.

- ``freeze_graph_test``: ``test_sessions_and_builders`` (versions of checkpoints, partitions), ``test_corpus_edits``.
- ``strip_unused_test``, ``graph_util_test``, ``convert_to_constants_test``: ``test_tools_and_loaders`` (node by node),
  ``transforms/test_freeze_graph``, ``transforms/test_freeze_stored``, ``transforms/test_cut_function`` (wrong names).
- ``optimize_for_inference_test``: ``transforms/test_optimize``, ``transforms/test_bind`` (placeholders to constants).
- ``saved_model_cli_test``: ``test_tools_and_loaders`` (show), ``test_initialisers_and_savers`` (examples),
  ``verbs/test_run_inputs`` (arrays in files, expressions), ``findings`` (scan).
- ``loader_test``, ``saved_model_test`` (builder), ``simple_save_test``: ``test_tools_and_loaders``,
  ``test_sessions_and_builders``, ``test_initialisers_and_savers``, ``writers/saved_model/test_graph_draft``.
- ``load_v1_in_v2_test``: ``test_sessions_and_builders``, ``functions/test_composites``, ``test_corpus_edits``.
- ``load_test``, ``save_test``: ``test_loading_and_saving``, ``test_arguments_and_results``,
  ``functions/test_function_states``, ``writers/saved_model/test_writer``.
- ``meta_graph_test``, ``saver_test``: ``writers/test_checkpoint``, ``readers/test_meta_graph``, ``verbs/test_restore``.
- ``checkpoint_test`` and its neighbours: ``files/checkpoints``, ``verbs/test_restore``.

Not ours are optimizers' state, Python's garbage, rotation by a Saver, metrics of TensorFlow's own use.
"""
